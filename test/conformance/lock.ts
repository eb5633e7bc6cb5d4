/** What every lock store does, whatever lies behind it. */
import assert from "node:assert/strict";
import type { LockOutcome, LockStore } from "../../components/lock/lock-store.ts";
import { type Backend, callWith, eventually, oddNames, openedFor, placeFor, unique } from "./backend.ts";
import { killsServer, outageChecks, served, whileAway } from "./outage.ts";

const longMs = 600_000;
const shortMs = 50;

/** Registers the tests of a lock store. */
export function testLockStore(backend: Backend<LockStore>): void {
  const { check, group } = backend.checks;
  const store = openedFor(backend);
  const take = (resource: string, owner: string, leaseMs = longMs): Promise<boolean> =>
    store().tryLock({ resource, owner, leaseMs }, callWith());
  const unlock = (resource: string, owner: string): Promise<LockOutcome> =>
    store().unlock({ resource, owner }, callWith());
  const renew = (resource: string, owner: string, leaseMs = longMs): Promise<LockOutcome> =>
    store().renew({ resource, owner, leaseMs }, callWith());
  const isFree = (resource: string) => (): Promise<boolean> => take(resource, "another");

  check("gives a free lock, and then to nobody else", async () => {
    const resource = unique("job");
    assert.equal(await take(resource, "one"), true);
    assert.equal(await take(resource, "two"), false);
  });

  check("does not give a lock to its own holder again", async () => {
    const resource = unique("job");
    assert.equal(await take(resource, "one"), true);
    assert.equal(await take(resource, "one"), false);
  });

  check("keeps locks apart, also of one owner", async () => {
    const [first, second] = [unique("job"), unique("job")];
    assert.equal(await take(first, "one"), true);
    assert.equal(await take(second, "one"), true);
    assert.equal(await unlock(first, "one"), "success");
    assert.equal(await take(second, "two"), false);
  });

  check("takes a lock back from its holder only", async () => {
    const resource = unique("job");
    assert.equal(await unlock(resource, "one"), "not-locked");
    await take(resource, "one");
    assert.equal(await unlock(resource, "two"), "owned-by-other");
    assert.equal(await unlock(resource, "one"), "success");
    assert.equal(await unlock(resource, "one"), "not-locked");
    assert.equal(await take(resource, "two"), true);
  });

  check("gives the lock to the next owner after the lease ends", async () => {
    const resource = unique("job");
    assert.equal(await take(resource, "one", shortMs), true);
    await eventually("the lease has ended", () => take(resource, "two"));
    assert.equal(await unlock(resource, "one"), "owned-by-other");
    assert.equal(await renew(resource, "one"), "owned-by-other");
    assert.equal(await unlock(resource, "two"), "success");
  });

  check("knows nothing of a lock whose lease has ended", async () => {
    const [resource, watched] = [unique("job"), unique("job")];
    await take(resource, "one", shortMs);
    await take(watched, "one", shortMs);
    await eventually("the later lease has ended", isFree(watched));
    assert.equal(await renew(resource, "one"), "not-locked");
    assert.equal(await unlock(resource, "one"), "not-locked");
  });

  check("gives its last holder a lock again once the lease has ended", async () => {
    const resource = unique("job");
    await take(resource, "one", shortMs);
    await eventually("the lease has ended", () => take(resource, "one"));
  });

  check("renews the lease of its holder, which then lasts beyond its first end", async () => {
    const [resource, watched] = [unique("job"), unique("job")];
    await take(resource, "one", 300);
    assert.equal(await renew(resource, "one"), "success");
    await take(watched, "one", 300);
    await eventually("the lease that was not renewed has ended", isFree(watched));
    assert.equal(await take(resource, "two"), false);
    assert.equal(await unlock(resource, "one"), "success");
  });

  check("renews to an earlier end, too", async () => {
    const resource = unique("job");
    await take(resource, "one", longMs);
    assert.equal(await renew(resource, "one", shortMs), "success");
    await eventually("the shortened lease has ended", () => take(resource, "two"));
  });

  check("renews for nobody but the holder", async () => {
    const resource = unique("job");
    assert.equal(await renew(resource, "one"), "not-locked");
    await take(resource, "one");
    assert.equal(await renew(resource, "two"), "owned-by-other");
    assert.equal(await take(resource, "two"), false);
  });

  check("gives a lock to exactly one of many that ask at once", async () => {
    const resource = unique("job");
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => take(resource, `owner ${index}`)));
    assert.equal(answers.filter((isMine) => isMine).length, 1);
    const holder = `owner ${answers.indexOf(true)}`;
    const outcomes = await Promise.all(answers.map((_, index) => renew(resource, `owner ${index}`)));
    assert.equal(outcomes.filter((outcome) => outcome === "success").length, 1);
    assert.equal(await unlock(resource, holder), "success");
  });

  check("gives an ended lease to exactly one of many that ask at once", async () => {
    const resource = unique("job");
    await take(resource, "before", shortMs);
    const taken = new Set<string>();
    await eventually("one of them has got the lock", async () => {
      const owners = Array.from({ length: 10 }, (_, index) => `owner ${index}`);
      const answers = await Promise.all(owners.map((owner) => take(resource, owner)));
      for (const [index, isMine] of answers.entries()) if (isMine) taken.add(owners[index] ?? "");
      return taken.size > 0;
    });
    assert.equal(taken.size, 1);
  });

  check("serves many locks at once", async () => {
    const resources = Array.from({ length: 200 }, () => unique("job"));
    const taken = await Promise.all(resources.map((resource) => take(resource, "one")));
    assert.ok(taken.every((isMine) => isMine));
    const given = await Promise.all(resources.map((resource) => unlock(resource, "one")));
    assert.ok(given.every((outcome) => outcome === "success"));
  });

  check("keeps odd names of locks and owners apart", async () => {
    const run = unique("odd");
    for (const name of oddNames) assert.equal(await take(run + name, name), true, name);
    const holders = await Promise.all(oddNames.map((name) => renew(run + name, `${name}x`)));
    assert.ok(holders.every((outcome) => outcome === "owned-by-other"));
    const given = await Promise.all(oddNames.map((name) => unlock(run + name, name)));
    assert.ok(given.every((outcome) => outcome === "success"));
  });

  check("does nothing for a call that was cancelled before it began", async () => {
    const [free, held] = [unique("job"), unique("job")];
    await take(held, "one");
    const reason = new Error("the caller has gone");
    const call = callWith(AbortSignal.abort(reason));
    await assert.rejects(store().tryLock({ resource: free, owner: "one", leaseMs: longMs }, call), reason);
    await assert.rejects(store().unlock({ resource: held, owner: "one" }, call), reason);
    await assert.rejects(store().renew({ resource: held, owner: "one", leaseMs: longMs }, call), reason);
    assert.equal(await take(free, "two"), true);
    assert.equal(await take(held, "two"), false);
  });

  check("gives no power over the next owner's lease to one whose own has ended", async () => {
    const resource = unique("job");
    await take(resource, "slow", shortMs);
    await eventually("the lease has ended", () => take(resource, "next"));
    assert.equal(await renew(resource, "slow", shortMs), "owned-by-other");
    assert.equal(await unlock(resource, "slow"), "owned-by-other");
    assert.equal(await take(resource, "slow"), false);
    assert.equal(await renew(resource, "next"), "success");
    assert.equal(await unlock(resource, "next"), "success");
  });

  check("is held by one owner through many renewals of a short lease", async () => {
    const [resource, watched] = [unique("job"), unique("job")];
    await take(resource, "one", 2_000);
    for (let index = 0; index < 20; index++) assert.equal(await renew(resource, "one", 2_000), "success");
    await take(watched, "one", shortMs);
    await eventually("a lease that was not renewed has ended", isFree(watched));
    assert.equal(await take(resource, "two"), false);
    assert.equal(await unlock(resource, "one"), "success");
  });

  check("holds for all that are open with the same settings", { needs: "shared" }, async () => {
    await using place = await placeFor(backend);
    await using one = await place.open();
    await using other = await place.open();
    const resource = unique("job");
    const asked = Array.from({ length: 20 }, (_, index) => ({
      opened: index % 2 === 0 ? one : other,
      owner: `owner ${index}`,
    }));
    const answers = await Promise.all(
      asked.map(({ opened, owner }) => opened.tryLock({ resource, owner, leaseMs: longMs }, callWith())),
    );
    assert.equal(answers.filter((isMine) => isMine).length, 1);
    const owner = `owner ${answers.indexOf(true)}`;
    assert.equal(await one.renew({ resource, owner, leaseMs: longMs }, callWith()), "success");
    assert.equal(await other.unlock({ resource, owner }, callWith()), "success");
    assert.equal(await one.tryLock({ resource, owner: "next", leaseMs: longMs }, callWith()), true);
  });

  group("an outage:", () => {
    outageChecks(backend, (opened, call) =>
      opened.tryLock({ resource: unique("probe"), owner: "one", leaseMs: 1_000 }, call),
    );

    check("is still held when the server was killed meanwhile", { needs: "durable", ...killsServer }, async () => {
      await using place = await placeFor(backend);
      await using opened = await place.open();
      const resource = unique("job");
      const call = () => callWith(AbortSignal.timeout(20_000));
      assert.equal(await opened.tryLock({ resource, owner: "one", leaseMs: longMs }, call()), true);
      await whileAway(backend, async () => undefined);
      assert.equal(await served(() => opened.tryLock({ resource, owner: "two", leaseMs: longMs }, call())), false);
      assert.equal(await opened.renew({ resource, owner: "one", leaseMs: longMs }, call()), "success");
      assert.equal(await opened.unlock({ resource, owner: "one" }, call()), "success");
    });
  });

  const reopened = async (isKept: boolean): Promise<void> => {
    await using place = await placeFor(backend);
    const resource = unique("job");
    {
      await using first = await place.open();
      assert.equal(await first.tryLock({ resource, owner: "one", leaseMs: longMs }, callWith()), true);
    }
    await using second = await place.open();
    const taken = await second.tryLock({ resource, owner: "two", leaseMs: longMs }, callWith());
    assert.equal(taken, !isKept);
    const outcome = await second.unlock({ resource, owner: "one" }, callWith());
    assert.equal(outcome, isKept ? "success" : "owned-by-other");
  };
  check(
    "has leases that outlast its being closed and opened again",
    { needs: "durable", otherwise: () => reopened(false) },
    () => reopened(true),
  );
}

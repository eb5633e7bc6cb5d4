/** What state stores do beside others, after they were closed, and when their server dies. */
import assert from "node:assert/strict";
import type { StateStore } from "../../components/state/state-store.ts";
import { type Backend, callWith, placeFor, unique } from "./backend.ts";
import { killsServer, outageChecks, served, serverOf } from "./outage.ts";
import { deleteOf, etagMismatch, setOf } from "./state-requests.ts";

/** Registers the checks of what is shared, and of what outlasts an end. */
export function durabilityChecks(backend: Backend<StateStore>): void {
  const { check, group } = backend.checks;
  check("two that are open with the same settings share their entries", { needs: "shared" }, async () => {
    await using place = await placeFor(backend);
    await using one = await place.open();
    await using other = await place.open();
    const key = unique("shared");
    await one.set(setOf(key, "of one"), callWith());
    const found = await other.get({ key, consistency: "strong" }, callWith());
    assert.equal(Buffer.from(found?.value ?? []).toString(), "of one");
    await other.set(setOf(key, "of the other", { etag: found?.etag ?? "" }), callWith());
    await assert.rejects(one.set(setOf(key, "too late", { etag: found?.etag ?? "" }), callWith()), etagMismatch(key));
    const counter = unique("counter");
    await one.set(setOf(counter, "0"), callWith());
    const increments = [one, other, one, other].map((member) => incrementTenTimes(member, counter));
    await Promise.all(increments);
    const total = await one.get({ key: counter, consistency: "strong" }, callWith());
    assert.equal(Buffer.from(total?.value ?? []).toString(), "40");
  });

  group("an outage:", () => {
    outageChecks(backend, (opened, call) => opened.get({ key: "probe", consistency: "strong" }, call));

    check("what was acknowledged is there when the server is back", { needs: "durable", ...killsServer }, async () => {
      await using place = await placeFor(backend);
      await using opened = await place.open();
      const run = unique("outage");
      const acknowledged: number[] = [];
      const killing = Promise.withResolvers<void>();
      const writeAll = async (): Promise<void> => {
        for (let index = 0; index < 300; index++) {
          if (index === 100) killing.resolve();
          await served(() =>
            opened.set(setOf(`${run}-${index}`, String(index)), callWith(AbortSignal.timeout(20_000))),
          );
          acknowledged.push(index);
        }
      };
      const writing = writeAll();
      await killing.promise;
      const server = serverOf(backend);
      await server.kill();
      await server.start();
      await writing;
      for (const index of acknowledged) {
        const found = await opened.get({ key: `${run}-${index}`, consistency: "strong" }, callWith());
        assert.equal(Buffer.from(found?.value ?? []).toString(), String(index));
      }
    });
  });

  check(
    "entries are there after it was closed and opened again",
    { needs: "durable", otherwise: () => reopened(backend, false) },
    () => reopened(backend, true),
  );
}

/** Counts up by reading and writing with the etag that was read, again whenever another was faster. */
async function incrementTenTimes(store: StateStore, key: string): Promise<void> {
  for (let done = 0; done < 10; ) {
    const found = await store.get({ key, consistency: "strong" }, callWith());
    const next = String(Number(Buffer.from(found?.value ?? []).toString()) + 1);
    const [outcome] = await Promise.allSettled([store.set(setOf(key, next, { etag: found?.etag ?? "" }), callWith())]);
    if (outcome?.status === "fulfilled") done++;
    else assert.ok(etagMismatch(key)(outcome?.reason));
  }
}

/** What is there when a store was closed and opened again. */
async function reopened(backend: Backend<StateStore>, isKept: boolean): Promise<void> {
  await using place = await placeFor(backend);
  const [kept, limited, deleted] = [unique("kept"), unique("limited"), unique("deleted")];
  const limit = backend.capabilities.has("ttl") ? { ttlMs: 600_000 } : {};
  let etag: string | undefined;
  {
    await using first = await place.open();
    await first.set(setOf(kept, "kept"), callWith());
    await first.set(setOf(limited, "limited", limit), callWith());
    await first.set(setOf(deleted, "deleted"), callWith());
    await first.delete(deleteOf(deleted), callWith());
    etag = (await first.get({ key: kept, consistency: "strong" }, callWith()))?.etag;
  }
  await using second = await place.open();
  const found = await second.get({ key: kept, consistency: "strong" }, callWith());
  assert.equal(found?.etag, isKept ? etag : undefined);
  const foundLimited = await second.get({ key: limited, consistency: "strong" }, callWith());
  assert.equal(foundLimited !== undefined, isKept);
  assert.equal(foundLimited?.expiresAtMs !== undefined, isKept && backend.capabilities.has("ttl"));
  assert.equal(await second.get({ key: deleted, consistency: "strong" }, callWith()), undefined);
  await second.set(setOf(kept, "again"), callWith());
  const next = await second.get({ key: kept, consistency: "strong" }, callWith());
  assert.notEqual(next?.etag, etag);
}

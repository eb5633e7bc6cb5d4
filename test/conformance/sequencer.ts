/** What every sequencer does, whatever lies behind it. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../components/error.ts";
import type { Sequencer } from "../../components/sequencer/sequencer.ts";
import { type Backend, callWith, oddNames, openedFor, placeFor, unique } from "./backend.ts";
import { killsServer, outageChecks, served, whileAway } from "./outage.ts";

/** Registers the tests of a sequencer. */
export function testSequencer(backend: Backend<Sequencer>): void {
  const { check, group } = backend.checks;
  const sequencer = openedFor(backend);
  const reserve = (key: string, count = 1): Promise<bigint> => sequencer().reserve({ key, count }, callWith());

  check("begins at 1 and goes up by one", { needs: "consecutive" }, async () => {
    const key = unique("ids");
    assert.deepEqual([await reserve(key), await reserve(key), await reserve(key)], [1n, 2n, 3n]);
  });

  check("gives the first of as many consecutive ids as were asked for", { needs: "consecutive" }, async () => {
    const key = unique("ids");
    const firsts = [await reserve(key, 10), await reserve(key), await reserve(key, 1000), await reserve(key)];
    assert.deepEqual(firsts, [1n, 11n, 12n, 1012n]);
  });

  check("counts each key by itself", { needs: "consecutive" }, async () => {
    const [one, two] = [unique("ids"), unique("ids")];
    await reserve(one, 5);
    assert.equal(await reserve(two), 1n);
    assert.equal(await reserve(one), 6n);
  });

  check("gives no id twice to many that ask at once, and leaves none out", { needs: "consecutive" }, async () => {
    const key = unique("ids");
    const counts = Array.from({ length: 200 }, (_, index) => (index % 3) + 1);
    const firsts = await Promise.all(counts.map((count) => reserve(key, count)));
    const ids = firsts.flatMap((first, index) =>
      Array.from({ length: counts[index] ?? 0 }, (_, offset) => first + BigInt(offset)),
    );
    ids.sort((a, b) => Number(a - b));
    assert.deepEqual(
      ids,
      ids.map((_, index) => BigInt(index) + 1n),
    );
  });

  check("is exact beyond the integers of JavaScript", { needs: "consecutive" }, async () => {
    const key = unique("ids");
    const count = Number.MAX_SAFE_INTEGER;
    assert.equal(await reserve(key, count), 1n);
    assert.equal(await reserve(key, 3), BigInt(count) + 1n);
    assert.equal(await reserve(key), BigInt(count) + 4n);
  });

  check(
    "refuses rather than to go past the largest 64-bit integer, and loses no id by it",
    { needs: "consecutive" },
    async () => {
      const key = unique("ids");
      const step = Number.MAX_SAFE_INTEGER;
      let next = 1n;
      while (next + BigInt(step) <= 2n ** 63n) {
        assert.equal(await reserve(key, step), next);
        next += BigInt(step);
      }
      const isExhausted = (error: unknown): boolean => error instanceof RuntimeError && error.code === "OUT_OF_RANGE";
      await assert.rejects(reserve(key, step), isExhausted);
      assert.equal(await reserve(key), next);
    },
  );

  check("keeps odd keys apart", { needs: "consecutive" }, async () => {
    const run = unique("odd");
    for (const [index, name] of oddNames.entries()) assert.equal(await reserve(run + name, index + 1), 1n, name);
    const next = await Promise.all(oddNames.map((name) => reserve(run + name)));
    assert.deepEqual(
      next,
      oddNames.map((_, index) => BigInt(index) + 2n),
    );
  });

  check("takes no id for a call that was cancelled before it began", async () => {
    const key = unique("ids");
    const reason = new Error("the caller has gone");
    await assert.rejects(sequencer().reserve({ key, count: 1 }, callWith(AbortSignal.abort(reason))), reason);
    const first = await reserve(key);
    if (backend.capabilities.has("consecutive")) assert.equal(first, 1n);
  });

  check("gives no id twice to two that are open with the same settings", { needs: "shared" }, async () => {
    await using place = await placeFor(backend);
    await using one = await place.open();
    await using other = await place.open();
    const key = unique("ids");
    const asked = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? one : other));
    const ids = await Promise.all(asked.map((opened) => opened.reserve({ key, count: 1 }, callWith())));
    assert.equal(new Set(ids).size, ids.length);
  });

  check("gives each id once, and of one caller each greater than the one before", async () => {
    const key = unique("ids");
    const alone: bigint[] = [];
    for (let index = 0; index < 50; index++) alone.push(await reserve(key));
    assert.ok(alone.every((id, index) => id > (alone[index - 1] ?? 0n)));
    const beside = await Promise.all(Array.from({ length: 500 }, () => reserve(key)));
    assert.equal(new Set([...alone, ...beside]).size, 550);
  });

  group("an outage:", () => {
    outageChecks(backend, (opened, call) => opened.reserve({ key: "probe", count: 1 }, call));

    check("gives no id twice when the server was killed meanwhile", { needs: "durable", ...killsServer }, async () => {
      await using place = await placeFor(backend);
      await using opened = await place.open();
      const key = unique("ids");
      const ids: bigint[] = [];
      const next = () => served(() => opened.reserve({ key, count: 1 }, callWith(AbortSignal.timeout(20_000))));
      for (let index = 0; index < 50; index++) ids.push(await next());
      await whileAway(backend, async () => undefined);
      for (let index = 0; index < 50; index++) ids.push(await next());
      assert.ok(ids.every((id, index) => id > (ids[index - 1] ?? 0n)));
    });
  });

  const idsAroundOpening = async (): Promise<readonly [before: bigint, after: bigint]> => {
    await using place = await placeFor(backend);
    const key = unique("ids");
    const next = (opened: Sequencer) => opened.reserve({ key, count: 1 }, callWith());
    let before = 0n;
    {
      await using first = await place.open();
      for (let index = 0; index < 7; index++) before = await next(first);
    }
    await using second = await place.open();
    return [before, await next(second)];
  };
  const beginsAgain = async (): Promise<void> => assert.deepEqual(await idsAroundOpening(), [7n, 1n]);
  check(
    "goes on behind its last id after it was closed and opened again",
    { needs: "durable", otherwise: beginsAgain },
    async () => {
      const [before, after] = await idsAroundOpening();
      if (backend.capabilities.has("consecutive")) assert.deepEqual([before, after], [7n, 8n]);
      else assert.ok(after > before);
    },
  );
}

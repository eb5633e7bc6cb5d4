import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError } from "../../components/error.ts";
import { memorySequencer } from "../../components/sequencer/memory.ts";
import type { Sequencer } from "../../components/sequencer/sequencer.ts";
import { callContext, oneStore, openComponent, openedStore } from "../../test/support/api.ts";
import { createSequencer, type Increment } from "./sequencer.ts";
import { storeSet } from "./stores.ts";

const call = callContext();

async function openSequencer(shape: (store: Sequencer) => Sequencer = (store) => store) {
  const store = await openComponent(memorySequencer, "ids");
  const block = createSequencer(storeSet("sequencer", oneStore("ids", shape(store))));
  const next = (increment: Increment, key = "k", context = call) =>
    block.next({ store: "ids", key, increment }, context);
  return { next, store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** The store with `reserve` put in place of its own. */
const reserving =
  (reserve: (store: Sequencer, ...of: Parameters<Sequencer["reserve"]>) => Promise<bigint>) =>
  (store: Sequencer): Sequencer => ({
    reserve: (request, context) => reserve(store, request, context),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  });

describe("the sequencer block", () => {
  it("gives strong ids one by one, beginning with 1", async () => {
    await using ids = await openSequencer();
    assert.deepEqual([await ids.next("strong"), await ids.next("strong"), await ids.next("strong")], [1n, 2n, 3n]);
  });

  it("never gives an id twice, with both increments on one key at once", async () => {
    await using ids = await openSequencer();
    const given = await Promise.all(
      Array.from({ length: 5_000 }, (_, index) => ids.next(index % 7 === 0 ? "strong" : "weak")),
    );
    assert.equal(new Set(given).size, 5_000);
  });

  it("gives weak ids that grow, for few calls to the store", async () => {
    let reservations = 0;
    await using ids = await openSequencer(
      reserving((store, request, context) => {
        reservations++;
        return store.reserve(request, context);
      }),
    );
    let last = 0n;
    for (let count = 0; count < 10_000; count++) {
      const id = await ids.next("weak");
      assert.ok(id > last);
      last = id;
    }
    assert.ok(reservations < 20, `${reservations} reservations`);
  });

  it("begins again with the store's own ids when the store was opened anew", async () => {
    await using first = await openComponent(memorySequencer);
    await using second = await openComponent(memorySequencer);
    const stores = oneStore<Sequencer>("ids", first);
    const block = createSequencer(storeSet("sequencer", stores));
    const next = () => block.next({ store: "ids", key: "k", increment: "weak" }, call);
    assert.deepEqual([await next(), await next()], [1n, 2n]);
    stores.set("ids", openedStore("ids", second));
    assert.equal(await next(), 1n);
  });

  it("one caller's cancellation leaves the others their ids", async () => {
    const gate = Promise.withResolvers<void>();
    await using ids = await openSequencer(
      reserving(async (store, request, context) => {
        await gate.promise;
        return store.reserve(request, context);
      }),
    );
    const caller = new AbortController();
    const cancelled = ids.next("weak", "k", callContext({ signal: caller.signal }));
    const waiting = ids.next("weak");
    caller.abort();
    await assert.rejects(cancelled, { name: "AbortError" });
    gate.resolve();
    assert.ok((await waiting) > 0n);
  });

  it("tells whoever waits that the store failed, and tries again for the next", async () => {
    let failing = true;
    await using ids = await openSequencer(
      reserving(async (store, request, context) => {
        if (failing) throw new RuntimeError("UNAVAILABLE", "DOWN", "the store is down");
        return store.reserve(request, context);
      }),
    );
    await assert.rejects(ids.next("weak"), { code: "UNAVAILABLE" });
    failing = false;
    assert.equal(await ids.next("weak"), 1n);
  });

  it("gives what is left of a segment while the store fails", async () => {
    let failing = false;
    await using ids = await openSequencer(
      reserving(async (store, request, context) => {
        if (failing) throw new RuntimeError("UNAVAILABLE", "DOWN", "the store is down");
        return store.reserve(request, context);
      }),
    );
    await ids.next("weak");
    failing = true;
    for (let count = 0; count < 15; count++) await ids.next("weak");
    await assert.rejects(ids.next("weak"), { code: "UNAVAILABLE" });
  });

  it("takes ids that are not consecutive one by one", async () => {
    const counts: number[] = [];
    const store: Sequencer = {
      reserve: async ({ count }) => BigInt(counts.push(count) * 100),
      [Symbol.asyncDispose]: async () => undefined,
    };
    const opened = { ...openedStore("ids", store), capabilities: new Set(["durable"]) };
    const block = createSequencer(storeSet("sequencer", new Map([["ids", opened]])));
    const next = (increment: Increment) => block.next({ store: "ids", key: "k", increment }, call);
    assert.deepEqual([await next("weak"), await next("strong"), await next("weak")], [100n, 200n, 300n]);
    assert.deepEqual(counts, [1, 1, 1]);
  });

  it("refuses an empty key", async () => {
    await using ids = await openSequencer();
    await assert.rejects(ids.next("weak", ""), { code: "INVALID_ARGUMENT", message: /key is empty/ });
  });
});

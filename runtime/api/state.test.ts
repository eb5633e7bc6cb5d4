import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError } from "../../components/error.ts";
import { memoryStateStore } from "../../components/state/memory.ts";
import type { StateStore } from "../../components/state/state-store.ts";
import { callContext, oneStore, openComponent, openedStore } from "../../test/support/api.ts";
import { createState, maxStateItems, type SaveItem, type StateBlock } from "./state.ts";
import { storeSet } from "./stores.ts";

const call = callContext();
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (value: Uint8Array): string => new TextDecoder().decode(value);
const item = (key: string, value: string, changes: Partial<SaveItem> = {}): SaveItem => ({
  key,
  value: encode(value),
  concurrency: "last-write",
  consistency: "strong",
  metadata: {},
  ...changes,
});

interface Opened extends AsyncDisposable {
  readonly state: StateBlock;
  readonly store: StateStore;
}

async function openState(keyPrefix = "", shape: (store: StateStore) => StateStore = (store) => store): Promise<Opened> {
  const store = await openComponent(memoryStateStore, "s");
  const state = createState(storeSet("state", oneStore("s", shape(store), keyPrefix)));
  return { state, store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

const save = (state: StateBlock, ...items: SaveItem[]): Promise<void> => state.save({ store: "s", items }, call);
const get = (state: StateBlock, key: string) => state.get({ store: "s", key, consistency: "strong" }, call);
const read = async (state: StateBlock, key: string): Promise<string> => decode((await get(state, key)).value);

describe("the state block", () => {
  it("reads what was saved, with an etag that changes with every write", async () => {
    await using opened = await openState();
    const { state } = opened;
    await save(state, item("k", "one"));
    const first = await get(state, "k");
    await save(state, item("k", "two"));
    const second = await get(state, "k");
    assert.equal(decode(first.value), "one");
    assert.equal(decode(second.value), "two");
    assert.notEqual(first.etag, "");
    assert.notEqual(first.etag, second.etag);
  });

  it("gives an empty value and an empty etag for a key that does not exist", async () => {
    await using opened = await openState();
    assert.deepEqual(await get(opened.state, "none"), { key: "none", value: new Uint8Array(), etag: "", metadata: {} });
  });

  it("refuses a write with a stale etag, and takes an empty etag for none", async () => {
    await using opened = await openState();
    const { state } = opened;
    await save(state, item("k", "one"));
    const { etag } = await get(state, "k");
    await save(state, item("k", "two", { etag }));
    await assert.rejects(save(state, item("k", "three", { etag })), { code: "ABORTED", reason: "ETAG_MISMATCH" });
    await save(state, item("k", "four", { etag: "" }));
    assert.equal(await read(state, "k"), "four");
    await assert.rejects(state.delete({ store: "s", items: [{ key: "k", etag, concurrency: "last-write" }] }, call), {
      code: "ABORTED",
    });
  });

  it("lets only the first writer through with first-write", async () => {
    await using opened = await openState();
    await save(opened.state, item("k", "one", { concurrency: "first-write" }));
    for (const etag of [undefined, ""]) {
      const second = save(opened.state, item("k", "two", { concurrency: "first-write", etag }));
      await assert.rejects(second, { code: "ABORTED" });
    }
  });

  it("tells when an entry expires, only when it does, and -1 removes the limit", async () => {
    await using opened = await openState();
    const { state } = opened;
    const before = Date.now();
    await save(state, item("k", "v", { metadata: { ttlInSeconds: "60" } }));
    const { metadata } = await get(state, "k");
    const expires = Date.parse(metadata.ttlExpireTime ?? "");
    assert.ok(expires >= before + 60_000 && expires <= Date.now() + 60_000);
    const [bulk] = await state.getBulk({ store: "s", keys: ["k"], parallelism: 1 }, call);
    assert.deepEqual(bulk?.metadata, metadata);
    await save(state, item("k", "v", { metadata: { ttlInSeconds: "-1" } }));
    assert.deepEqual((await get(state, "k")).metadata, {});
  });

  it("puts the prefix before the key in the store and takes it off again", async () => {
    await using opened = await openState("appid");
    await save(opened.state, item("k", "v"));
    assert.equal((await get(opened.state, "k")).key, "k");
    assert.ok(await opened.store.get({ key: "app||k", consistency: "strong" }, call));
    await opened.state.transact({ store: "s", steps: [{ operation: "delete", item: item("k", "") }] }, call);
    assert.equal(await opened.store.get({ key: "app||k", consistency: "strong" }, call), undefined);
  });
});

describe("bulk requests", () => {
  it("reads one item for each key asked for, in order, missing and repeated ones included", async () => {
    await using opened = await openState();
    await save(opened.state, item("a", "1"), item("b", "2"));
    const items = await opened.state.getBulk({ store: "s", keys: ["b", "none", "a", "b"], parallelism: 2 }, call);
    assert.deepEqual(
      items.map(({ key, value, error }) => [key, decode(value), error]),
      [
        ["b", "2", ""],
        ["none", "", ""],
        ["a", "1", ""],
        ["b", "2", ""],
      ],
    );
  });

  it("tells of one key that cannot be read beside the others", async () => {
    const failing = (store: StateStore): StateStore => ({
      get: async (request, context) => {
        if (request.key === "bad") throw new RuntimeError("UNAVAILABLE", "SHARD_DOWN", "the shard is down");
        return store.get(request, context);
      },
      set: (request, context) => store.set(request, context),
      delete: (request, context) => store.delete(request, context),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    });
    await using opened = await openState("", failing);
    await save(opened.state, item("good", "1"));
    const items = await opened.state.getBulk({ store: "s", keys: ["bad", "good"], parallelism: 0 }, call);
    assert.deepEqual(
      items.map(({ key, value, error }) => [key, decode(value), error]),
      [
        ["bad", "", "the shard is down"],
        ["good", "1", ""],
      ],
    );
  });

  it("saves what it can and names exactly the keys that it could not", async () => {
    await using opened = await openState();
    const { state } = opened;
    await save(state, item("a", "1"), item("b", "1"), item("c", "1"));
    const { etag } = await get(state, "b");
    const wrong = save(
      state,
      item("a", "2", { etag: "wrong" }),
      item("b", "2", { etag }),
      item("c", "2", { etag: "wrong" }),
    );
    await assert.rejects(wrong, (error) => {
      assert.ok(error instanceof RuntimeError);
      assert.equal(error.code, "ABORTED");
      assert.equal(error.reason, "ETAG_MISMATCH");
      assert.match(error.message, /^2 of 3 writes to state store 's' failed, the others were applied: 'a': .*'c': /);
      assert.deepEqual(JSON.parse(error.details.failedKeys ?? ""), ["a", "c"]);
      return true;
    });
    assert.equal(await read(state, "a"), "1");
    assert.equal(await read(state, "b"), "2");
    assert.equal(await read(state, "c"), "1");
  });

  it("counts failures that are too many to name, and names as many as a status carries", async () => {
    await using opened = await openState();
    const items = Array.from({ length: 5_000 }, (_, index) => item(`key-${index}`, "v", { etag: "wrong" }));
    await assert.rejects(save(opened.state, ...items), (error) => {
      assert.ok(error instanceof RuntimeError);
      assert.match(error.message, /^5000 of 5000 writes to state store 's' failed: 'key-0': .*; and 4990 more$/);
      assert.equal(error.details.failedCount, "5000");
      assert.ok(Number(error.details.failedKeys?.length) <= 2048);
      assert.equal(JSON.parse(error.details.failedKeys ?? "")[100], "key-100");
      return true;
    });
  });

  it("deletes what it can as well", async () => {
    await using opened = await openState();
    const { state } = opened;
    await save(state, item("a", "1"), item("b", "1"));
    const items = [item("a", "", { etag: "wrong" }), item("b", "")];
    await assert.rejects(state.delete({ store: "s", items }, call), {
      code: "ABORTED",
      details: { failedCount: "1", failedKeys: '["a"]' },
    });
    assert.equal(await read(state, "a"), "1");
    assert.equal((await get(state, "b")).etag, "");
  });

  it("applies items of one key in the order given", async () => {
    await using opened = await openState();
    const writes = Array.from({ length: 200 }, (_, index) => item("k", String(index)));
    await save(opened.state, ...writes);
    assert.equal(await read(opened.state, "k"), "199");
  });

  it("applies nothing when any item is invalid", async () => {
    await using opened = await openState();
    const invalid = [item("", "v"), item("a||b", "v"), item("k", "v", { metadata: { ttlInSeconds: "soon" } })];
    for (const bad of invalid) {
      await assert.rejects(save(opened.state, item("good", "v"), bad), { code: "INVALID_ARGUMENT" });
      assert.equal((await get(opened.state, "good")).etag, "");
    }
  });

  it("refuses more items than go in one request", async () => {
    await using opened = await openState();
    const keys = Array.from({ length: maxStateItems + 1 }, (_, index) => `k${index}`);
    await assert.rejects(opened.state.getBulk({ store: "s", keys, parallelism: 1 }, call), {
      code: "INVALID_ARGUMENT",
      reason: "TOO_MANY_ITEMS",
    });
  });

  it("takes an empty list for nothing to do", async () => {
    await using opened = await openState();
    await save(opened.state);
    assert.deepEqual(await opened.state.getBulk({ store: "s", keys: [], parallelism: 5 }, call), []);
  });
});

describe("transactions", () => {
  it("apply their operations in order", async () => {
    await using opened = await openState();
    const { state } = opened;
    await save(state, item("k1", "old"));
    const steps = [
      { operation: "delete", item: item("k1", "") },
      { operation: "upsert", item: item("k2", "v") },
      { operation: "delete", item: item("k2", "") },
      { operation: "upsert", item: item("k3", "v") },
    ];
    await state.transact({ store: "s", steps }, call);
    assert.deepEqual([await read(state, "k1"), await read(state, "k2"), await read(state, "k3")], ["", "", "v"]);
  });

  it("apply all of it or none of it", async () => {
    await using opened = await openState();
    const steps = [
      { operation: "upsert", item: item("a", "v") },
      { operation: "upsert", item: item("b", "v", { etag: "wrong" }) },
    ];
    await assert.rejects(opened.state.transact({ store: "s", steps }, call), { code: "ABORTED" });
    assert.equal((await get(opened.state, "a")).etag, "");
  });

  it("are unimplemented on a store without them", async () => {
    await using store = await openComponent(memoryStateStore, "s");
    const bare = { ...openedStore("s", store), type: "bare", capabilities: new Set<string>() };
    const state = createState(storeSet("state", new Map([["s", bare]])));
    await assert.rejects(state.transact({ store: "s", steps: [] }, call), {
      code: "UNIMPLEMENTED",
      message: "state store 's' is of type bare, which has no transactions",
    });
  });

  it("know the operations upsert and delete, with a request each", async () => {
    await using opened = await openState();
    const transact = (operation: string, of: SaveItem | undefined) =>
      opened.state.transact({ store: "s", steps: [{ operation, item: of }] }, call);
    await assert.rejects(transact("increment", item("k", "v")), { code: "UNIMPLEMENTED", message: /'increment'/ });
    await assert.rejects(transact("upsert", undefined), { code: "INVALID_ARGUMENT" });
  });
});

describe("listings of keys", () => {
  const list = (state: StateBlock, prefix = "", changes: { cursor?: string; limit?: number } = {}) =>
    state.keys({ store: "s", prefix, cursor: changes.cursor, limit: changes.limit ?? 0 }, call);

  it("have the application's keys, without the prefix of the store and a page at a time", async () => {
    await using opened = await openState("appid");
    const { state, store } = opened;
    const keys = Array.from({ length: 150 }, (_, index) => `k${index}`);
    await save(state, ...keys.map((key) => item(key, "v")));
    for (const key of ["k", "other||k", "lock|||app||k", "app||"]) {
      await store.set({ key, value: encode("v"), concurrency: "last-write", consistency: "strong" }, call);
    }
    const first = await list(state);
    assert.equal(first.keys.length, 100);
    const second = await list(state, "", first.cursor === undefined ? {} : { cursor: first.cursor });
    assert.deepEqual([...first.keys, ...second.keys], keys);
    assert.equal(second.cursor, undefined);
    assert.deepEqual((await list(state, "k14")).keys, ["k14", ...keys.slice(140)]);
    assert.deepEqual((await list(state, "k14", { limit: 1 })).keys, ["k14"]);
  });

  it("leave out keys with a prefix where the store has none", async () => {
    await using opened = await openState("none");
    await save(opened.state, item("k", "v"));
    await opened.store.set(
      { key: "other||k", value: encode("v"), concurrency: "last-write", consistency: "strong" },
      call,
    );
    assert.deepEqual((await list(opened.state)).keys, ["k"]);
    await assert.rejects(list(opened.state, "other||"), { code: "INVALID_ARGUMENT", reason: "KEY_RESERVED" });
  });

  it("have a thousand keys a page at most", async () => {
    await using opened = await openState();
    await save(opened.state, ...Array.from({ length: 1_001 }, (_, index) => item(`k${index}`, "")));
    assert.equal((await list(opened.state, "", { limit: 5_000 })).keys.length, 1_000);
  });

  it("are unimplemented on a store that cannot", async () => {
    await using store = await openComponent(memoryStateStore, "s");
    const bare = { ...openedStore("s", store), type: "bare", capabilities: new Set<string>() };
    await assert.rejects(list(createState(storeSet("state", new Map([["s", bare]])))), {
      code: "UNIMPLEMENTED",
      message: "state store 's' is of type bare, which has no listing of keys",
    });
  });
});

describe("numbers", () => {
  const add = (state: StateBlock, key: string, delta: bigint, by = call) =>
    state.increment({ store: "s", key, delta }, by);

  it("are added to under the application's key", async () => {
    await using opened = await openState("appid");
    assert.equal(await add(opened.state, "n", 2n), 2n);
    assert.equal(await read(opened.state, "n"), "2");
    await save(opened.state, item("text", "many"));
    await assert.rejects(add(opened.state, "text", 1n), { code: "INVALID_ARGUMENT", message: /key 'text'/ });
    await assert.rejects(add(opened.state, "", 1n), { reason: "KEY_EMPTY" });
  });

  it("are read again when another sidecar was faster, and given up when it always is", async () => {
    let refusals = 3;
    await using opened = await openState("", (store) => ({
      get: (request, by) => store.get(request, by),
      delete: (request, by) => store.delete(request, by),
      set: async (request, by) => {
        if (refusals-- > 0) throw new RuntimeError("ABORTED", "ETAG_MISMATCH", "another was faster");
        return store.set(request, by);
      },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }));
    assert.equal(await add(opened.state, "n", 1n), 1n);
    refusals = Number.POSITIVE_INFINITY;
    await assert.rejects(add(opened.state, "n", 1n), { code: "ABORTED", reason: "INCREMENT_CONTENDED" });
    refusals = 0;
    assert.equal(await add(opened.state, "n", 1n), 2n);
  });

  it("are left alone by a call that is cancelled while it waits for others, and the others go on", async () => {
    const reading = Promise.withResolvers<void>();
    const mayRead = Promise.withResolvers<void>();
    await using opened = await openState("", (store) => ({
      get: async (request, by) => {
        reading.resolve();
        await mayRead.promise;
        return store.get(request, by);
      },
      delete: (request, by) => store.delete(request, by),
      set: (request, by) => store.set(request, by),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }));
    const cancel = new AbortController();
    const first = add(opened.state, "n", 1n);
    const second = add(opened.state, "n", 10n, { ...call, signal: cancel.signal });
    const third = add(opened.state, "n", 100n);
    await reading.promise;
    cancel.abort(new Error("the caller has gone"));
    await assert.rejects(second, /the caller has gone/);
    mayRead.resolve();
    assert.deepEqual(await Promise.all([first, third]), [1n, 101n]);
  });
});

/** What the store on NATS does beside what every state store does: the layout, limits, and buckets that others have made. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, type NatsConnection } from "nats";
import { callWith, eventually, oddNames, unique } from "../../test/conformance/backend.ts";
import { type NatsServer, startNats } from "../../test/support/nats-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { setOf, textAt } from "../../test/support/state-access.ts";
import { RuntimeError } from "../error.ts";
import { natsStateStore } from "./nats.ts";
import type { StateStore } from "./state-store.ts";

describe("state in NATS", () => {
  let server: NatsServer;
  let other: NatsConnection;
  before(async () => {
    server = await startNats({ maxPayloadBytes: 64 * 1024 });
    other = await connect({ servers: server.address });
  });
  after(async () => {
    await other.close();
    await server[Symbol.asyncDispose]();
  });
  const open = (settings: object = {}, at = server): Promise<StateStore> =>
    natsStateStore.open(natsStateStore.config.parse({ servers: [at.address], ...settings }), openContext("orders"));
  const messagesIn = async (bucket: string): Promise<number> => {
    const manager = await other.jetstreamManager();
    return (await manager.streams.info(`KV_${bucket}`)).state.messages;
  };

  it("is read by other clients of NATS, and reads what they write", async () => {
    await using store = await open();
    await store.set(setOf("order.1", "pending"), callWith());
    const bucket = await other.jetstream().views.kv("outrigger-state");
    assert.equal((await bucket.get("order.1"))?.string(), "pending");
    await bucket.put("order.2", "shipped");
    assert.equal(await textAt(store, "order.2"), "shipped");
    await bucket.delete("order.1");
    assert.equal(await textAt(store, "order.1"), undefined);
    await store.set(setOf("order.1", "anew", { concurrency: "first-write" }), callWith());
    assert.equal(await textAt(store, "order.1"), "anew");
  });

  it("says how long a value may be when one is longer", async () => {
    await using store = await open();
    await assert.rejects(
      store.set(setOf("too-long", "x".repeat(65 * 1024)), callWith()),
      (error) =>
        error instanceof RuntimeError &&
        error.code === "RESOURCE_EXHAUSTED" &&
        /too-long.*66560 bytes.*64512.*max_payload/.test(error.message),
    );
    const longest = "x".repeat(63 * 1024);
    await store.set(setOf("x", longest, { ttlMs: 60_000 }), callWith());
    assert.equal(await textAt(store, "x"), longest);
    // A long key lies beside the value.
    const less = "x".repeat(60 * 1024);
    await store.set(setOf("x".repeat(5_000), less, { ttlMs: 60_000 }), callWith());
    assert.equal(await textAt(store, "x".repeat(5_000)), less);
    await assert.rejects(store.set(setOf("x".repeat(5_000), longest), callWith()), /the value with the name of key/);
  });

  it("lists the keys that other clients have, none of what has gone, and in a bucket with a history each once", async () => {
    const name = unique("history");
    const bucket = await other.jetstream().views.kv(name, { history: 5 });
    for (const value of ["1", "2", "3"]) await bucket.put("order.1", value);
    await bucket.put("order.2", "1");
    await bucket.delete("order.2");
    await bucket.put("order.3", "1");
    await using store = await open({ bucket: name });
    await store.set(setOf("order.4", "x", { ttlMs: 1 }), callWith());
    await eventually("it has expired", async () => (await textAt(store, "order.4")) === undefined);
    const page = await store.keys?.({ prefix: "order.", cursor: undefined, limit: 100 }, callWith());
    assert.deepEqual(page, { keys: ["order.1", "order.3"], cursor: undefined });
  });

  it("looks at so many entries for a page of keys, however few of them come on it", async () => {
    await using store = await open({ bucket: unique("many") });
    const names = Array.from({ length: 2_100 }, (_, index) => `${index < 2_099 ? "other" : "wanted"}-${index}`);
    for (const name of names) await store.set(setOf(name, "x"), callWith());
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.keys?.({ prefix: "wanted", cursor, limit: 10 }, callWith());
      sizes.push(page?.keys.length ?? -1);
      cursor = page?.cursor;
    } while (cursor !== undefined);
    assert.deepEqual(sizes, [0, 0, 1]);
  });

  it("refuses what its bucket has no room for", async () => {
    const bucket = unique("full");
    await using store = await open({ bucket, maxBytes: 1024 ** 2 });
    const fill = async (): Promise<void> => {
      for (let index = 0; index < 20; index++) await store.set(setOf(`key-${index}`, "x".repeat(60_000)), callWith());
    };
    await assert.rejects(fill(), (error) => error instanceof RuntimeError && error.code === "RESOURCE_EXHAUSTED");
    assert.equal((await textAt(store, "key-0"))?.length, 60_000);
  });

  it("leaves nothing of what was deleted", async () => {
    const bucket = unique("deleted");
    await using store = await open({ bucket });
    const empty = await messagesIn(bucket);
    for (let index = 0; index < 50; index++) await store.set(setOf(`key-${index}`, "x"), callWith());
    for (let index = 0; index < 50; index++) {
      await store.delete({ key: `key-${index}`, concurrency: "last-write" }, callWith());
    }
    await eventually("the marks are gone", async () => (await messagesIn(bucket)) === empty);
  });

  it("lets a key that another made in a moment of its life not be made again, however many try", async () => {
    await using store = await open();
    for (let round = 0; round < 10; round++) {
      const key = unique("contended");
      const attempts = Array.from({ length: 10 }, async (_, index) => {
        if (index % 2 === 0) await store.delete({ key, concurrency: "last-write" }, callWith());
        await store.set(setOf(key, String(index), { concurrency: "first-write" }), callWith());
      });
      const outcomes = await Promise.allSettled(attempts);
      assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") assert.equal(outcome.reason.code, "ABORTED");
      }
    }
  });

  it("works in a bucket that another client made, which forbids to remove and to read directly", async () => {
    const bucket = unique("foreign");
    await other.jetstream().views.kv(bucket, { allow_direct: false });
    await using store = await open({ bucket });
    for (const name of oddNames) await store.set(setOf(name, name), callWith());
    for (const name of oddNames) assert.equal(await textAt(store, name), name);
    await store.set(setOf("short", "x", { ttlMs: 50 }), callWith());
    await eventually("it has expired", async () => (await textAt(store, "short")) === undefined);
    const entry = await store.get({ key: "case", consistency: "eventual" }, callWith());
    await store.delete({ key: "case", etag: entry?.etag ?? "", concurrency: "first-write" }, callWith());
    assert.equal(await textAt(store, "case"), undefined);
    await store.set(setOf("case", "again", { concurrency: "first-write" }), callWith());
    assert.equal(await textAt(store, "case"), "again");
  });

  it("lets entries expire by the server's clock, however the machine's own is set", async (test) => {
    await using store = await open();
    test.mock.method(Date, "now", () => 0);
    await store.set(setOf("kept", "x", { ttlMs: 60_000 }), callWith());
    await store.set(setOf("short", "x", { ttlMs: 50 }), callWith());
    await eventually("it has expired", async () => (await textAt(store, "short")) === undefined);
    assert.equal(await textAt(store, "kept"), "x");
  });

  it("makes a bucket in memory again when its server was away", async () => {
    await using own = await startNats();
    await using store = await open({ storage: "memory" }, own);
    await store.set(setOf("key", "x"), callWith());
    await own.kill();
    await own.start();
    await eventually("it serves again", async () => {
      const outcome = await Promise.allSettled([textAt(store, "key")]);
      return outcome[0].status === "fulfilled" && outcome[0].value === undefined;
    });
    await store.set(setOf("key", "y"), callWith());
    assert.equal(await textAt(store, "key"), "y");
  });

  it("is UNAVAILABLE on a server without JetStream, and says so", async () => {
    await using plain = await startNats({ jetStream: false });
    await assert.rejects(
      open({}, plain),
      (error) => error instanceof RuntimeError && error.code === "UNAVAILABLE" && /JetStream/.test(error.message),
    );
  });
});

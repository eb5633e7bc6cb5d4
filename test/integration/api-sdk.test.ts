/** The SDK against the API over real gRPC. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { SayHelloRequest, SayHelloResponse } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { Blocks } from "../../runtime/api/layotto/runtime-service.ts";
import { AppChannel } from "../../runtime/app/app-channel.ts";
import { bytes, json, OutriggerClient, OutriggerError, serveCallbacks } from "../../sdk/index.ts";
import { logUntil, type ServedApi, serveApi } from "../support/api.ts";

interface Rig extends AsyncDisposable {
  readonly client: OutriggerClient;
  readonly api: ServedApi;
}

async function connect(shape?: (blocks: Blocks) => Blocks): Promise<Rig> {
  const api = await serveApi({}, shape);
  const client = new OutriggerClient({ address: api.address });
  return {
    client,
    api,
    async [Symbol.asyncDispose]() {
      client.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

const store = "inventory";

describe("state", () => {
  it("writes and reads text, bytes and JSON", async () => {
    await using rig = await connect();
    const { state } = rig.client;
    await state.saveBulk({
      store,
      items: [
        { key: "text", value: "ü" },
        { key: "bytes", value: bytes(new Uint8Array([0, 255])) },
        { key: "json", value: json({ n: 1 }) },
        { key: "empty", value: "" },
      ],
    });
    assert.equal((await state.get({ store, key: "text" }))?.value.text(), "ü");
    assert.deepEqual([...((await state.get({ store, key: "bytes" }))?.value.bytes() ?? [])], [0, 255]);
    assert.deepEqual((await state.get({ store, key: "json" }))?.value.json(), { n: 1 });
    assert.equal((await state.get({ store, key: "empty" }))?.value.text(), "", "an empty value is not a missing one");
    assert.equal(await state.get({ store, key: "none" }), undefined);
    const bulk = await state.getBulk({ store, keys: ["none", "text"] });
    assert.deepEqual(
      bulk.map(({ key, entry }) => [key, entry?.value.text()]),
      [
        ["none", undefined],
        ["text", "ü"],
      ],
    );
  });

  it("writes over what was read and nothing else, and tells what was not written", async () => {
    await using rig = await connect();
    const { state } = rig.client;
    await state.save({ store, key: "a", value: "1", concurrency: "first-write" });
    const { etag = "" } = (await state.get({ store, key: "a" })) ?? {};
    const items = [
      { key: "b", value: "2" },
      { key: "a", value: "2", etag: "stale" },
    ];
    await assert.rejects(state.saveBulk({ store, items }), (error) => {
      assert.ok(error instanceof OutriggerError);
      assert.equal(error.code, "ABORTED");
      assert.equal(error.reason, "ETAG_MISMATCH");
      assert.equal(error.method, "SaveState");
      assert.deepEqual(error.failedKeys, ["a"]);
      return true;
    });
    assert.equal((await state.get({ store, key: "b" }))?.value.text(), "2");
    await assert.rejects(state.delete({ store, key: "a", etag: "stale" }), { code: "ABORTED" });
    await state.delete({ store, key: "a", etag });
    await state.deleteBulk({ store, items: [{ key: "b" }, { key: "none" }] });
    assert.equal(await state.get({ store, key: "b" }), undefined);
  });

  it("tells when a value expires", async () => {
    await using rig = await connect();
    const { state } = rig.client;
    const before = Date.now();
    await state.save({ store, key: "a", value: "1", ttlSeconds: 60 });
    const { expiresAt } = (await state.get({ store, key: "a" })) ?? {};
    assert.ok(expiresAt !== undefined && expiresAt.getTime() >= before + 60_000);
    await state.save({ store, key: "a", value: "1" });
    assert.equal((await state.get({ store, key: "a" }))?.expiresAt, undefined);
  });

  it("runs a transaction as a whole or not at all", async () => {
    await using rig = await connect();
    const { state } = rig.client;
    await state.transaction({
      store,
      operations: [
        { upsert: { key: "a", value: "1" } },
        { upsert: { key: "b", value: "1" } },
        { delete: { key: "a" } },
      ],
    });
    assert.equal(await state.get({ store, key: "a" }), undefined);
    const broken = [{ upsert: { key: "b", value: "2" } }, { delete: { key: "b", etag: "stale" } }];
    await assert.rejects(state.transaction({ store, operations: broken }), { code: "ABORTED" });
    assert.equal((await state.get({ store, key: "b" }))?.value.text(), "1");
  });
});

describe("errors", () => {
  it("carry the code, the reason, the method and a sentence", async () => {
    await using rig = await connect();
    await assert.rejects(rig.client.sequencer.next({ store: "none", key: "k" }), {
      name: "OutriggerError",
      code: "INVALID_ARGUMENT",
      reason: "SEQUENCER_STORE_NOT_FOUND",
      method: "GetNextId",
      message: "sequencer 'none' is not configured; configured: ids",
      failedKeys: [],
    });
  });

  it("of thousands of keys still arrive", async () => {
    await using rig = await connect();
    const items = Array.from({ length: 9_000 }, (_, index) => ({
      key: `schlüssel-${index}`,
      value: "v",
      etag: "stale",
    }));
    await assert.rejects(rig.client.state.saveBulk({ store, items }), (error) => {
      assert.ok(error instanceof OutriggerError);
      assert.equal(error.code, "ABORTED");
      assert.equal(error.details.failedCount, "9000");
      assert.ok(error.failedKeys.length > 50);
      return true;
    });
  });

  it("a message above the limit is RESOURCE_EXHAUSTED", async () => {
    await using rig = await connect();
    await using client = new OutriggerClient({ address: rig.api.address, maxMessageBytes: 16 * 1024 ** 2 });
    const save = client.state.save({ store, key: "a", value: bytes(new Uint8Array(5 * 1024 ** 2)) });
    await assert.rejects(save, { code: "RESOURCE_EXHAUSTED" });
  });

  it("a runtime that is not there is UNAVAILABLE, and ready gives up in time", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    await using client = new OutriggerClient({ address });
    await assert.rejects(client.hello(), { code: "UNAVAILABLE", method: "SayHello" });
    await assert.rejects(client.ready({ timeoutMs: 1 }), { code: "DEADLINE_EXCEEDED", reason: "RUNTIME_UNREACHABLE" });
  });

  it("deadlines and cancellation reach the block that serves the call", async () => {
    const arrived = Promise.withResolvers<void>();
    const ended: Promise<unknown>[] = [];
    const hanging = (blocks: Blocks): Blocks => ({
      ...blocks,
      lock: {
        ...blocks.lock,
        tryLock: (_, { signal }) => {
          ended.push(once(signal, "abort"));
          arrived.resolve();
          return new Promise(() => undefined);
        },
      },
    });
    await using rig = await connect(hanging);
    const lease = { store: "jobs", resource: "r", owner: "o", expireSeconds: 1 };
    const caller = new AbortController();
    const cancelled = assert.rejects(rig.client.lock.tryLock(lease, { signal: caller.signal }), { code: "CANCELLED" });
    await arrived.promise;
    caller.abort();
    await cancelled;
    await assert.rejects(rig.client.lock.tryLock(lease, { timeoutMs: 50 }), { code: "DEADLINE_EXCEEDED" });
    await Promise.all(ended);
    assert.equal(ended.length, 2);
    await assert.rejects(rig.client.lock.tryLock(lease, { signal: AbortSignal.abort() }), { code: "CANCELLED" });
  });
});

describe("topics", () => {
  const topic = { pubsub: "events", topic: "orders" };

  it("give each event until it is acknowledged", async () => {
    await using rig = await connect();
    const { pubsub } = rig.client;
    const events = await pubsub.subscribe(topic);
    await pubsub.publish({ ...topic, data: json({ order: 1 }) });
    const seen: unknown[] = [];
    for await (const event of events) {
      seen.push(event.data.json());
      if (seen.length === 1) await event.retry();
      else if (seen.length === 2) {
        await event.ack();
        await pubsub.publish({ ...topic, data: json({ order: 2 }) });
      } else {
        await event.ack();
        break;
      }
    }
    assert.deepEqual(seen, [{ order: 1 }, { order: 1 }, { order: 2 }]);
  });

  it("an acknowledgement just before the loop is left arrives", async () => {
    await using rig = await connect();
    const { pubsub } = rig.client;
    for (let order = 0; order < 20; order++) {
      const events = await pubsub.subscribe(topic);
      await pubsub.publish({ ...topic, data: json({ order }) });
      for await (const event of events) {
        assert.deepEqual(event.data.json(), { order }, "the one before was not delivered again");
        await event.ack();
        break;
      }
    }
  });

  it("give what was dropped to the dead-letter topic", async () => {
    await using rig = await connect();
    const { pubsub } = rig.client;
    await using dead = await pubsub.subscribe({ ...topic, topic: "failed" });
    const events = await pubsub.subscribe({ ...topic, deadLetterTopic: "failed" });
    await pubsub.publish({ ...topic, data: "bad" });
    for await (const event of events) {
      await event.drop();
      break;
    }
    for await (const event of dead) {
      assert.equal(event.data.text(), "bad");
      await event.ack();
      break;
    }
  });

  it("refuse a topic of a component that is not there, and end with the caller's signal", async () => {
    await using rig = await connect();
    const { pubsub } = rig.client;
    await assert.rejects(pubsub.subscribe({ ...topic, pubsub: "none" }), {
      code: "INVALID_ARGUMENT",
      method: "SubscribeTopicEvents",
    });
    const caller = new AbortController();
    const events = await pubsub.subscribe(topic, { signal: caller.signal });
    const reading = assert.rejects(Array.fromAsync(events), { code: "CANCELLED" });
    caller.abort();
    await reading;
  });

  it("are delivered to the application's callbacks", async () => {
    await using rig = await connect();
    const { pubsub } = rig.client;
    const received: string[] = [];
    const failures: unknown[] = [];
    const done = Promise.withResolvers<void>();
    await using callbacks = await serveCallbacks({
      port: 0,
      topics: {
        "events/orders": async (event) => {
          received.push(event.data.text());
          if (received.length === 1) throw new Error("not yet");
          if (received.length === 2) return "retry";
          done.resolve();
          return "success";
        },
      },
      onError: (error) => failures.push(error),
    });
    const { log, said } = logUntil("the application is subscribed");
    await using _channel = new AppChannel({
      address: callbacks.address,
      pubsub: rig.api.blocks.pubsub,
      maxMessageBytes: 4 * 1024 ** 2,
      log,
    });
    await said;
    await pubsub.publish({ ...topic, data: "an order" });
    await done.promise;
    assert.deepEqual(received, ["an order", "an order", "an order"]);
    assert.equal(failures.length, 1);
    await assert.rejects(
      serveCallbacks({ port: 0, topics: { orders: async () => "success" } }),
      /'orders' names no topic/,
    );
  });
});

describe("configuration", () => {
  it("is followed by several subscribers, each ended alone", async () => {
    await using rig = await connect();
    const { config } = rig.client;
    const settings = { store: "settings" };
    const one = await config.subscribe({ ...settings, keys: ["a"] });
    await using all = await config.subscribe(settings);
    await config.save({ ...settings, items: [{ key: "a", content: "1", tags: { t: "v" } }] });
    for await (const { key, content, tags, deleted } of one) {
      assert.deepEqual({ key, content, tags, deleted }, { key: "a", content: "1", tags: { t: "v" }, deleted: false });
      break;
    }
    await config.save({ ...settings, items: [{ key: "b", content: "2" }] });
    await config.delete({ ...settings, keys: ["a"] });
    const told: string[] = [];
    for await (const { key, deleted } of all) {
      told.push(deleted ? `-${key}` : key);
      if (deleted) break;
    }
    assert.deepEqual(told, ["a", "b", "-a"]);
    assert.deepEqual(
      (await config.get(settings)).map(({ key }) => key),
      ["b"],
    );
  });

  it("saved with the metadata deleted is told as saved", async () => {
    await using rig = await connect();
    const { config } = rig.client;
    await using all = await config.subscribe({ store: "settings" });
    const metadata = { deleted: "true", by: "me" };
    await config.save({ store: "settings", items: [{ key: "a", content: "1", metadata }] });
    for await (const { content, deleted, metadata } of all) {
      assert.deepEqual({ content, deleted, by: metadata.by }, { content: "1", deleted: false, by: "me" });
      break;
    }
  });

  it("of a store that is not there cannot be followed", async () => {
    await using rig = await connect();
    await assert.rejects(rig.client.config.subscribe({ store: "none" }), {
      code: "INVALID_ARGUMENT",
      reason: "CONFIG_STORE_NOT_FOUND",
    });
  });
});

describe("locks", () => {
  const lock = { store: "jobs", resource: "report" };

  it("are held, renewed and given back by withLock", async () => {
    let renewals = 0;
    const outlived = Promise.withResolvers<void>();
    await using rig = await connect((blocks) => ({
      ...blocks,
      lock: {
        ...blocks.lock,
        keepAlive: async (request, call) => {
          const outcome = await blocks.lock.keepAlive(request, call);
          // Renewed at a third of the lease: after the fourth time, the first lease is over.
          if (outcome === "success" && ++renewals === 4) outlived.resolve();
          return outcome;
        },
      },
    }));
    const { client } = rig;
    const other = { ...lock, owner: "other", expireSeconds: 30 };
    const result = await client.lock.withLock({ ...lock, expireSeconds: 1 }, async ({ signal }) => {
      await outlived.promise;
      assert.equal(signal.aborted, false);
      return client.lock.tryLock(other);
    });
    assert.equal(result, false, "nobody else got it");
    assert.equal(await client.lock.tryLock(other), true, "it was given back");
  });

  it("that another holds are refused, or waited for", async () => {
    await using rig = await connect();
    const { client } = rig;
    const holder = { ...lock, owner: "other" };
    await client.lock.tryLock({ ...holder, expireSeconds: 30 });
    await assert.rejects(
      client.lock.withLock(lock, async () => "never"),
      { code: "ABORTED", reason: "LOCK_HELD" },
    );
    const waiting = client.lock.withLock({ ...lock, waitMs: 60_000 }, async () => "mine");
    assert.equal(await client.lock.unlock(holder), "success");
    assert.equal(await waiting, "mine");
  });

  it("that were lost end the work", async () => {
    await using rig = await connect();
    const { client } = rig;
    const work = client.lock.withLock({ ...lock, expireSeconds: 1 }, async ({ owner, signal }) => {
      await client.lock.unlock({ ...lock, owner });
      await client.lock.tryLock({ ...lock, owner: "thief", expireSeconds: 30 });
      await once(signal, "abort");
    });
    await assert.rejects(work, { code: "ABORTED", reason: "LOCK_LOST" });
    assert.equal(await client.lock.unlock({ ...lock, owner: "thief" }), "success", "the thief's lock was left alone");
  });

  it("are given back when the work fails", async () => {
    await using rig = await connect();
    const { client } = rig;
    const failing = client.lock.withLock(lock, () => Promise.reject(new Error("the work failed")));
    await assert.rejects(failing, /the work failed/);
    assert.equal(await client.lock.unlock({ ...lock, owner: "anyone" }), "not-locked");
  });
});

describe("invocations", () => {
  it("over gRPC give the reply's message, and the service's own failure", async () => {
    await using rig = await connect();
    await using behind = await serveApi({ runtime: { endpoints: [rig.api.address], protocol: "grpc" } });
    await using client = new OutriggerClient({ address: behind.address });
    const method = "/spec.proto.runtime.v1.Runtime";
    const hello = SayHelloRequest.encode(SayHelloRequest.create({ name: "you" })).finish();
    const reply = await client.invoke.grpc({ id: "runtime", method: `${method}/SayHello`, message: hello });
    assert.equal(SayHelloResponse.decode(reply).hello, "Hello, you");
    const wrong = client.invoke.grpc({ id: "runtime", method: `${method}/GetState`, message: new Uint8Array() });
    await assert.rejects(wrong, {
      code: "INVALID_ARGUMENT",
      reason: "INVOKED_SERVICE_FAILED",
      message: /state store ''/,
    });
  });
});

describe("sequences", () => {
  it("never give an id twice to clients at once", async () => {
    await using rig = await connect();
    const ids = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        rig.client.sequencer.next({ store: "ids", key: "k", increment: index % 5 === 0 ? "strong" : "weak" }),
      ),
    );
    assert.equal(new Set(ids).size, 200);
  });
});

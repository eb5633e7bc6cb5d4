/** The client of the npm package `layotto`, as its users have it, against our server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { json as readJson } from "node:stream/consumers";
import { describe, it } from "node:test";
import { Client, type Types } from "layotto";
import { OutriggerClient } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { type ServedApi, serveApi } from "../support/api.ts";

interface Rig extends AsyncDisposable {
  readonly client: Client;
  readonly api: ServedApi;
}

async function connect(upstreams: Readonly<Record<string, object>> = {}): Promise<Rig> {
  const api = await serveApi(upstreams);
  const [host = "", port = ""] = api.address.split(":");
  const client = new Client(port, host);
  return {
    client,
    api,
    async [Symbol.asyncDispose]() {
      client.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

const storeName = "inventory";
const decode = (value: Uint8Array | undefined): string => new TextDecoder().decode(value);

describe("the client of the npm package layotto", () => {
  it("says hello", async () => {
    await using rig = await connect();
    assert.equal(await rig.client.hello.sayHello({ name: "layotto" }), "Hello, layotto");
  });

  it("saves, reads and deletes state, although it sends the etag 0 where its user gave none", async () => {
    await using rig = await connect();
    const { state } = rig.client;
    await state.save({ storeName, states: { key: "a", value: "one" } });
    await state.save({
      storeName,
      states: [
        { key: "a", value: "two" },
        { key: "b", value: Buffer.from("three") },
      ],
    });
    const read = await state.get({ storeName, key: "a" });
    assert.equal(decode(read?.value), "two");
    assert.equal(await state.get({ storeName, key: "none" }), null);
    const bulk = await state.getBulk({ storeName, keys: ["b", "none", "a"] });
    assert.deepEqual(
      bulk.map(({ key, value }) => [key, decode(value)]),
      [
        ["b", "three"],
        ["a", "two"],
      ],
    );
    await state.delete({ storeName, key: "a" });
    await state.deleteBulk({ storeName, states: [{ key: "b" }] });
    assert.equal(await state.get({ storeName, key: "a" }), null);
    assert.equal(await state.get({ storeName, key: "b" }), null);
  });

  it("is refused a write with a stale etag", async () => {
    await using rig = await connect();
    const { state } = rig.client;
    await state.save({ storeName, states: { key: "a", value: "one" } });
    const etag = (await state.get({ storeName, key: "a" }))?.etag ?? "";
    const options = { concurrency: 1, consistency: 2 } as const;
    await state.save({ storeName, states: { key: "a", value: "two", etag, options } });
    const stale = state.save({ storeName, states: { key: "a", value: "three", etag, options } });
    await assert.rejects(stale, { code: 10 });
  });

  it("runs a transaction", async () => {
    await using rig = await connect();
    const { state } = rig.client;
    const options = { concurrency: 0, consistency: 0 } as const;
    await state.save({ storeName, states: { key: "old", value: "v" } });
    await state.executeTransaction({
      storeName,
      operations: [
        {
          operationType: "upsert" as Types.State.StateOperationType,
          request: { key: "new", value: "v", etag: "0", options },
        },
        { operationType: "delete" as Types.State.StateOperationType, request: { key: "old", etag: "0", options } },
      ],
    });
    assert.equal(decode((await state.get({ storeName, key: "new" }))?.value), "v");
    assert.equal(await state.get({ storeName, key: "old" }), null);
  });

  it("locks and unlocks", async () => {
    await using rig = await connect();
    const lock = { storeName: "jobs", resourceId: "r" };
    const { client } = rig;
    assert.equal(await client.lock.tryLock({ ...lock, lockOwner: "me", expire: 30 }), true);
    assert.equal(await client.lock.tryLock({ ...lock, lockOwner: "you", expire: 30 }), false);
    assert.deepEqual(await client.lock.unLock({ ...lock, lockOwner: "you" }), { status: 2 });
    assert.deepEqual(await client.lock.unLock({ ...lock, lockOwner: "me" }), { status: 0 });
    assert.deepEqual(await client.lock.unLock({ ...lock, lockOwner: "me" }), { status: 1 });
  });

  it("takes ids", async () => {
    await using rig = await connect();
    const next = (increment?: 0 | 1) =>
      rig.client.sequencer.getNextId({
        storeName: "ids",
        key: "k",
        ...(increment === undefined ? {} : { options: { increment } }),
      });
    const ids = [await next(), await next(0), await next(1), await next()];
    assert.equal(new Set(ids).size, 4);
    for (const id of ids) assert.match(id, /^[1-9]\d*$/);
  });

  it("saves, reads, follows and deletes configuration", async () => {
    await using rig = await connect();
    const { configuration } = rig.client;
    const selection = { storeName: "settings", appId: "app", keys: ["k"] };
    const told: [string, string][] = [];
    const changed = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<Error | undefined>();
    const stream = configuration.subscribe({
      ...selection,
      onData(items: Types.Configuration.GetConfigurationItem[]) {
        told.push(...items.map(({ key, content }): [string, string] => [key, content]));
        if (told.length === 2) changed.resolve();
      },
      onClose: closed.resolve,
    });
    await once(stream, "metadata");
    await configuration.save({
      storeName: "settings",
      appId: "app",
      items: [
        { key: "k", content: "v" },
        { key: "other", content: "v" },
      ],
    });
    const [item] = await configuration.get(selection);
    assert.deepEqual(item, { key: "k", content: "v", group: "", label: "", tags: {}, metadata: {} });
    await configuration.delete(selection);
    await changed.promise;
    assert.deepEqual(told, [
      ["k", "v"],
      ["k", ""],
    ]);
    stream.end();
    assert.equal(await closed.promise, undefined);
    assert.deepEqual(await configuration.get(selection), []);
  });

  it("publishes events", async () => {
    await using rig = await connect();
    await using ours = new OutriggerClient({ address: rig.api.address });
    const events = await ours.pubsub.subscribe({ pubsub: "events", topic: "orders" });
    await rig.client.pubsub.publish({ pubsubName: "events", topic: "orders", data: { order: 7 } });
    for await (const event of events) {
      assert.deepEqual(event.data.json(), { order: 7 });
      await event.ack();
      break;
    }
  });

  it("invokes a service", async () => {
    const server = createServer(async (asked, answer) => {
      answer.setHeader("content-type", "application/json; charset=utf-8");
      const body = asked.method === "POST" ? await readJson(asked) : undefined;
      answer.end(JSON.stringify({ method: asked.method, url: asked.url, body }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    {
      await using rig = await connect({
        billing: { endpoints: [`127.0.0.1:${(server.address() as AddressInfo).port}`] },
      });
      const { invoker } = rig.client;
      const read = await invoker.invoke({ id: "billing", method: "/bills" });
      assert.deepEqual(read, { contentType: "application/json", content: { method: "GET", url: "/bills" } });
      const charged = await invoker.invoke({ id: "billing", method: "charge", httpVerb: 3, data: { cents: 5 } });
      assert.deepEqual(charged.content, { method: "POST", url: "/charge", body: { cents: 5 } });
      await assert.rejects(invoker.invoke({ id: "nobody", method: "/" }), { code: 5, details: /configured: billing/ });
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it("invokes a binding", async () => {
    await using rig = await connect();
    const request = { name: "reports", metadata: { fileName: "may.txt" } };
    await rig.client.binding.invoke({ ...request, operation: "create", data: "all is well" });
    const got = await rig.client.binding.invoke({ ...request, operation: "get", data: "" });
    assert.equal(Buffer.from(got.data).toString(), "all is well");
    assert.deepEqual(got.metadata, request.metadata);
  });

  it("streams files in and out, lists and deletes them, although it names them with every piece", async () => {
    await using rig = await connect();
    const { file } = rig.client;
    const named = { storeName: "files", name: "reports/may.bin" };
    const content = Buffer.alloc(1024 ** 2, "all is well");
    await file.put({ ...named, stream: Readable.from([content.subarray(0, 5), content.subarray(5)]) });
    // Its put resolves when all has been sent.
    const names = async () => (await file.list({ storeName: "files", name: "reports/" })).names;
    await eventually("the file is there", async () => (await names()).length > 0);
    assert.deepEqual(await names(), [named.name]);
    assert.ok(Buffer.concat(await Array.fromAsync(await file.get(named))).equals(content));
    await file.delete(named);
    assert.deepEqual(await names(), []);
    await assert.rejects(async () => Array.fromAsync(await file.get(named)), {
      code: 5,
      details: "file store 'files' has no file 'reports/may.bin'",
    });
  });

  it("is told what is wrong and what exists", async () => {
    await using rig = await connect();
    await assert.rejects(rig.client.state.get({ storeName: "nowhere", key: "k" }), {
      code: 3,
      details: "state store 'nowhere' is not configured; configured: inventory",
    });
    await assert.rejects(rig.client.lock.tryLock({ storeName: "jobs", resourceId: "r", lockOwner: "", expire: 1 }), {
      code: 3,
    });
    const binding = rig.client.binding.invoke({ name: "reports", operation: "burn", data: "" });
    await assert.rejects(binding, { code: 12, details: /no operation 'burn'; it has create, delete, get, list/ });
  });
});

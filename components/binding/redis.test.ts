/** What the binding to Redis does: values by key, and the entries of a stream. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { bytesOf, callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { type RedisServer, redisCli, startRedis } from "../../test/support/redis-server.ts";
import type { Binding, BindingEvent } from "./binding.ts";
import { redisBinding } from "./redis.ts";

describe("a binding to Redis", () => {
  let server: RedisServer;
  let binding: Binding;
  const open = (settings: object = {}): Promise<Binding> =>
    redisBinding.open(
      redisBinding.config.parse({ url: `redis://${server.address}`, ...settings }),
      openContext("cache"),
    );
  before(async () => {
    server = await startRedis();
    binding = await open();
  });
  after(async () => {
    await binding[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const invoke = async (operation: string, metadata: Record<string, string>, text = "") => {
    const response = await binding.invoke({ operation, data: bytesOf(text), metadata }, callWith());
    return { text: Buffer.from(response.data).toString(), metadata: response.metadata };
  };

  it("creates, gets and deletes values by key", async () => {
    const key = unique("key");
    assert.deepEqual(await invoke("get", { key }), { text: "", metadata: { found: "false" } });
    await invoke("create", { key }, "value");
    assert.equal(await redisCli(server, "GET", key), "value");
    assert.deepEqual(await invoke("get", { key }), { text: "value", metadata: { found: "true" } });
    await invoke("delete", { key });
    assert.equal((await invoke("get", { key })).metadata.found, "false");
  });

  it("counts", async () => {
    const key = unique("key");
    assert.equal((await invoke("increment", { key })).text, "1");
    assert.equal((await invoke("increment", { key, ttlInSeconds: "100" })).text, "2");
    assert.ok(Number(await redisCli(server, "TTL", key)) > 50);
    await invoke("create", { key }, "no number");
    await assert.rejects(invoke("increment", { key }), { code: "INTERNAL", message: /'cache'.*not an integer/ });
  });

  it("limits the life of a value", async () => {
    const key = unique("key");
    await invoke("create", { key, ttlInSeconds: "100" }, "value");
    assert.ok(Number(await redisCli(server, "TTL", key)) > 50);
  });

  it("says what is wrong with a request", async () => {
    await assert.rejects(invoke("get", {}), { code: "INVALID_ARGUMENT", message: /'cache'.*'key'/ });
    await assert.rejects(invoke("create", { key: "k", ttlInSeconds: "soon" }), {
      code: "INVALID_ARGUMENT",
      message: /'soon'/,
    });
  });

  it("keeps below its prefix", async () => {
    await using prefixed = await open({ prefix: "mine:" });
    const key = unique("key");
    await prefixed.invoke({ operation: "create", data: bytesOf("x"), metadata: { key } }, callWith());
    assert.equal(await redisCli(server, "GET", `mine:${key}`), "x");
  });

  it("brings in the fields of a stream's entries, and shares them with others of its group", async () => {
    const stream = unique("stream");
    await using one = await open({ stream });
    await using two = await open({ stream });
    const events: BindingEvent[] = [];
    const take = async (event: BindingEvent): Promise<void> => {
      events.push(event);
    };
    await using _one = await one.listen?.(take);
    await using _two = await two.listen?.(take);
    const id = await redisCli(server, "XADD", stream, "*", "data", "the event", "kind", "test");
    await redisCli(server, "XADD", stream, "*", "kind", "empty");
    await eventually("both have come", () => events.length >= 2);
    const [first, second] = events.toSorted((a, b) => b.data.length - a.data.length);
    assert.equal(Buffer.from(first?.data ?? []).toString(), "the event");
    assert.deepEqual(first?.metadata, { kind: "test", id });
    assert.deepEqual([second?.data.length, second?.metadata.kind], [0, "empty"]);
    await eventually("none is held any longer", async () =>
      (await redisCli(server, "XPENDING", stream, "outrigger")).startsWith("0"),
    );
    assert.equal(await redisCli(server, "XLEN", stream), "2");
  });
});

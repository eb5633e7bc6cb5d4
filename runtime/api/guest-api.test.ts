import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError } from "../../components/error.ts";
import { openApiParts } from "../../test/support/api.ts";
import { capabilities } from "../config/scalars.ts";
import { CallsInFlight } from "../grpc/calls-in-flight.ts";
import type { GrantedKind, HttpApi, UniformApi } from "../plugin/uniform-api.ts";
import { createLog } from "../telemetry/log.ts";
import { guestApi } from "./guest-api.ts";
import type { Blocks } from "./layotto/runtime-service.ts";

const { signal } = new AbortController();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array | undefined): string | undefined => data && new TextDecoder().decode(data);

const noHttp: HttpApi = { has: () => false, request: () => assert.fail("no upstream is called here") };
const everything = {
  state: ["inventory"],
  pubsub: ["events"],
  config: ["settings"],
  lock: ["jobs"],
  sequencer: ["ids"],
  secret: ["vault"],
  binding: ["reports"],
  object: ["files"],
  invoke: ["backend"],
} as const satisfies Partial<Record<GrantedKind, readonly string[]>>;

/** The building blocks as the plugin `shop` reaches them, and what is logged. */
async function open(granted: Readonly<Record<string, readonly string[]>> = everything) {
  const parts = await openApiParts({ backend: { endpoints: ["127.0.0.1:1"] } });
  const lines: string[] = [];
  const log = createLog({ level: "info", destination: { write: (line: string) => void lines.push(line) } });
  const calls = new CallsInFlight();
  const kept: string[] = [];
  const logged = (level: string, message: string) => void kept.push(`${level}: ${message}`);
  const grants = capabilities.parse(granted);
  const through = (blocks: Blocks): UniformApi =>
    guestApi({ plugin: "shop", version: "1.0.0", grants, appId: "app", log, logged, calls }, blocks, noHttp);
  return {
    api: through(parts.blocks),
    blocks: parts.blocks,
    through,
    calls,
    lines,
    kept,
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array, void> {
  for (const text of texts) yield bytes(text);
}

describe("what a plugin was granted", () => {
  /** A call of each method, to a component of that name. */
  const callsTo = (api: UniformApi, name: string): Readonly<Record<string, () => Promise<unknown>>> => {
    const message = { data: bytes("x"), contentType: "", metadata: {} };
    return {
      "state.get": () => api.state.get(name, "k", signal),
      "state.getMany": () => api.state.getMany(name, ["k"], signal),
      "state.set": () => api.state.set(name, [{ key: "k", value: bytes("v") }], signal),
      "state.delete": () => api.state.delete(name, [{ key: "k" }], signal),
      "state.transact": () => api.state.transact(name, [{ delete: { key: "k" } }], signal),
      "state.keys": () => api.state.keys(name, undefined, signal),
      "state.increment": () => api.state.increment(name, "k", 1n, signal),
      "pubsub.publish": () => api.pubsub.publish({ pubsub: name, topic: "t", isRaw: false, ...message }, signal),
      "config.get": () => api.config.get(name, { keys: [], group: "", label: "" }, signal),
      "lock.tryLock": () => api.lock.tryLock(name, "r", "me", 1, signal),
      "lock.unlock": () => api.lock.unlock(name, "r", "me", signal),
      "lock.keepAlive": () => api.lock.keepAlive(name, "r", "me", 1, signal),
      "sequencer.next": () => api.sequencer.next(name, "k", false, signal),
      "secret.get": () => api.secret.get(name, "EXAMPLE_TOKEN", signal),
      "binding.invoke": () => api.binding.invoke({ name, operation: "get", ...message }, signal),
      "object.get": () => api.object.get(name, "o", signal),
      "object.put": () => api.object.put(name, "o", chunks("x"), signal),
      "object.delete": () => api.object.delete(name, "o", signal),
      "object.list": () => api.object.list(name, { prefix: "", pageSize: 0, marker: "" }, signal),
      "object.stat": () => api.object.stat(name, "o", signal),
      "invoke.invoke": () =>
        api.invoke.invoke({ id: name, method: "/", verb: "", querystring: "", ...message }, signal),
    };
  };

  it("is listed by kind, in the order of its manifest", async () => {
    await using opened = await open({ state: ["b", "a"], upstreams: ["u"] });
    assert.deepEqual(opened.api.granted("state"), ["b", "a"]);
    assert.deepEqual(opened.api.granted("upstreams"), ["u"]);
    assert.deepEqual(opened.api.granted("lock"), []);
  });

  it("is all that it reaches: every method refuses what it was not granted, and says how to grant it", async () => {
    await using opened = await open();
    for (const [method, call] of Object.entries(callsTo(opened.api, "other"))) {
      const kind = method.split(".")[0] ?? "";
      await assert.rejects(call, (error: RuntimeError) => {
        assert.equal(error.code, "PERMISSION_DENIED", method);
        assert.equal(error.reason, "NOT_GRANTED", method);
        assert.deepEqual(error.details, { plugin: "shop", kind, name: "other" });
        assert.match(error.message, new RegExp(`plugin 'shop' was not granted the .* 'other'; .*grants.shop.${kind}$`));
        return true;
      });
    }
  });

  it("is all that it reaches: without grants nothing works, also not by the names that there are", async () => {
    await using opened = await open({});
    for (const [kind, names] of Object.entries(everything)) {
      for (const [method, call] of Object.entries(callsTo(opened.api, names[0]))) {
        if (method.startsWith(`${kind}.`)) await assert.rejects(call, { code: "PERMISSION_DENIED" }, method);
      }
    }
  });
});

describe("a call that fails as long as the plugin is configured as it is", () => {
  it("is told in its log, once for each sentence", async () => {
    await using opened = await open({ state: ["inventory", "gone"] });
    const { state } = opened.api;
    for (const store of ["other", "other", "gone", "gone"]) await assert.rejects(state.get(store, "k", signal));
    assert.equal(opened.kept.length, 2);
    assert.match(
      opened.kept[0] ?? "",
      /^warn: a call of the plugin fails with permission-denied: plugin 'shop' was not granted the state store 'other'; let its manifest/,
    );
    assert.match(opened.kept[1] ?? "", /^warn: a call of the plugin fails with [a-z-]+: .*'gone'/);
    assert.equal(opened.lines.length, 2);
    const { plugin, version, msg } = JSON.parse(opened.lines[0] ?? "");
    assert.deepEqual([plugin, version, `warn: ${msg}`], ["shop", "1.0.0", opened.kept[0]]);
  });

  it("is told the same where an interface has no text for it", async () => {
    await using opened = await open();
    opened.api.refused("state", "other");
    await assert.rejects(opened.api.state.get("other", "k", signal));
    assert.equal(opened.kept.length, 1);
    assert.match(
      opened.kept[0] ?? "",
      /fails with permission-denied: plugin 'shop' was not granted the state store 'other'/,
    );
  });

  it("is not told without end, nor are others told", async () => {
    await using opened = await open();
    const { state } = opened.api;
    for (let nth = 0; nth < 100; nth++) await assert.rejects(state.get(`made-up-${nth}`, "k", signal));
    assert.equal(opened.kept.length, 64);
    await assert.rejects(state.delete("inventory", [{ key: "none", etag: "stale" }], signal));
    assert.equal(opened.kept.length, 64);
  });
});

describe("state", () => {
  it("is written, read, compared by its etag and deleted", async () => {
    await using opened = await open();
    const { state } = opened.api;
    assert.equal(await state.get("inventory", "k", signal), undefined);
    await state.set("inventory", [{ key: "k", value: bytes("1") }], signal);
    const found = await state.get("inventory", "k", signal);
    assert.equal(textOf(found?.value), "1");
    assert.notEqual(found?.etag, "");
    const stale = { key: "k", value: bytes("2"), etag: "stale" };
    await assert.rejects(state.set("inventory", [stale], signal), { code: "ABORTED" });
    await state.set("inventory", [{ ...stale, etag: found?.etag ?? "" }], signal);
    await assert.rejects(state.delete("inventory", [{ key: "k", etag: "stale" }], signal), { code: "ABORTED" });
    await state.delete("inventory", [{ key: "k" }], signal);
    assert.equal(await state.get("inventory", "k", signal), undefined);
  });

  it("is written once only with an empty etag", async () => {
    await using opened = await open();
    const { state } = opened.api;
    await state.set("inventory", [{ key: "k", value: bytes("1"), etag: "" }], signal);
    await assert.rejects(state.set("inventory", [{ key: "k", value: bytes("2"), etag: "" }], signal), {
      code: "ABORTED",
    });
  });

  it("keeps a value that is empty apart from none", async () => {
    await using opened = await open();
    await opened.api.state.set("inventory", [{ key: "k", value: bytes("") }], signal);
    const found = await opened.api.state.getMany("inventory", ["none", "k"], signal);
    assert.deepEqual(
      found.map((one) => textOf(one?.value)),
      [undefined, ""],
    );
  });

  it("is written with a limit of life, of whole seconds", async () => {
    await using opened = await open();
    const write = { key: "k", value: bytes("1") };
    await opened.api.state.set("inventory", [{ ...write, ttlSeconds: 60 }], signal);
    await assert.rejects(opened.api.state.set("inventory", [{ ...write, ttlSeconds: 0.5 }], signal), {
      code: "INVALID_ARGUMENT",
      reason: "TTL_INVALID",
    });
  });

  it("is changed in steps, all or none", async () => {
    await using opened = await open();
    const { state } = opened.api;
    await state.set("inventory", [{ key: "old", value: bytes("1") }], signal);
    await state.transact("inventory", [{ set: { key: "new", value: bytes("2") } }, { delete: { key: "old" } }], signal);
    const stale = { delete: { key: "new", etag: "stale" } };
    await assert.rejects(state.transact("inventory", [{ set: { key: "third", value: bytes("3") } }, stale], signal), {
      code: "ABORTED",
    });
    const found = await state.getMany("inventory", ["old", "new", "third"], signal);
    assert.deepEqual(
      found.map((one) => textOf(one?.value)),
      [undefined, "2", undefined],
    );
  });

  it("is counted up, from 0 where there is nothing", async () => {
    await using opened = await open();
    const { state } = opened.api;
    const sums = await Promise.all([1n, 2n, 3n].map((delta) => state.increment("inventory", "n", delta, signal)));
    assert.deepEqual(sums, [1n, 3n, 6n]);
    assert.equal(textOf((await state.get("inventory", "n", signal))?.value), "6");
  });

  it("takes no more keys in one call than an application may name", async () => {
    await using opened = await open();
    const keys = Array.from({ length: 10_001 }, (_, index) => `k${index}`);
    await assert.rejects(opened.api.state.getMany("inventory", keys, signal), { reason: "TOO_MANY_ITEMS" });
  });
});

describe("bytes that a plugin hands in", () => {
  it("are copied before the call waits: its memory may change meanwhile", async () => {
    await using opened = await open();
    const memory = bytes("before");
    const writing = opened.api.state.set("inventory", [{ key: "k", value: memory }], signal);
    const sent = opened.api.binding.invoke(
      { name: "reports", operation: "create", data: memory, metadata: { fileName: "report.txt" } },
      signal,
    );
    memory.fill(0);
    await Promise.all([writing, sent]);
    assert.equal(textOf((await opened.api.state.get("inventory", "k", signal))?.value), "before");
    const report = { name: "reports", operation: "get", data: bytes(""), metadata: { fileName: "report.txt" } };
    assert.equal(textOf((await opened.api.binding.invoke(report, signal)).data), "before");
  });
});

describe("the other building blocks", () => {
  it("publish events, wrapped or as they are", async () => {
    await using opened = await open();
    const heard: string[] = [];
    const arrived = Promise.withResolvers<void>();
    await using _subscribed = await opened.blocks.pubsub.subscribe(
      { pubsub: "events", topic: "orders", metadata: {} },
      async (event) => {
        heard.push(`${event.source}: ${textOf(event.data)}`);
        if (heard.length === 2) arrived.resolve();
        return "success";
      },
    );
    const event = { pubsub: "events", topic: "orders", contentType: "text/plain", metadata: {} };
    await opened.api.pubsub.publish({ ...event, data: bytes("wrapped"), isRaw: false }, signal);
    await opened.api.pubsub.publish({ ...event, data: bytes("raw"), isRaw: true }, signal);
    await arrived.promise;
    assert.ok(heard.includes("app: wrapped"), heard.join());
    assert.ok(heard.some((one) => one.endsWith("raw")));
  });

  it("read configuration and secrets", async () => {
    await using opened = await open();
    const item = { key: "colour", content: "green", group: "", label: "", tags: { a: "b" }, metadata: {} };
    const call = { signal, appId: "app", log: createLog({ level: "silent" }), peer: { address: "test" } };
    await opened.blocks.config.save({ store: "settings", appId: "app", items: [item] }, call);
    const found = await opened.api.config.get("settings", { keys: ["colour"], group: "", label: "" }, signal);
    assert.deepEqual(
      found.map(({ key, content, tags }) => ({ key, content, tags: { ...tags } })),
      [{ key: "colour", content: "green", tags: { a: "b" } }],
    );
    assert.equal((await opened.api.secret.get("vault", "EXAMPLE_TOKEN", signal)).EXAMPLE_TOKEN, "an example");
    await assert.rejects(opened.api.secret.get("vault", "PASSWORD", signal), { reason: "SECRET_NOT_ALLOWED" });
  });

  it("lock, and count", async () => {
    await using opened = await open();
    const { lock, sequencer } = opened.api;
    assert.equal(await lock.tryLock("jobs", "r", "me", 30, signal), true);
    assert.equal(await lock.tryLock("jobs", "r", "you", 30, signal), false);
    assert.equal(await lock.keepAlive("jobs", "r", "me", 30, signal), "success");
    assert.equal(await lock.unlock("jobs", "r", "you", signal), "owned-by-other");
    assert.equal(await lock.unlock("jobs", "r", "me", signal), "success");
    const first = await sequencer.next("ids", "k", true, signal);
    assert.ok((await sequencer.next("ids", "k", false, signal)) > first);
  });

  it("keep files, as streams", async () => {
    await using opened = await open();
    const { object } = opened.api;
    await object.put("files", "a/b", chunks("one ", "two"), signal);
    const read: string[] = [];
    for await (const piece of await object.get("files", "a/b", signal)) read.push(textOf(piece) ?? "");
    assert.equal(read.join(""), "one two");
    assert.equal((await object.stat("files", "a/b", signal)).size, 7);
    const { objects } = await object.list("files", { prefix: "a/", pageSize: 0, marker: "" }, signal);
    assert.deepEqual(
      objects.map(({ name }) => name),
      ["a/b"],
    );
    await object.delete("files", "a/b", signal);
    await assert.rejects(object.get("files", "a/b", signal), { code: "NOT_FOUND" });
  });

  it("invoke services, by methods of HTTP that there are", async () => {
    await using opened = await open();
    const request = { id: "backend", method: "/", querystring: "", contentType: "", data: bytes(""), metadata: {} };
    await assert.rejects(opened.api.invoke.invoke({ ...request, verb: "CONNECT" }, signal), {
      reason: "VERB_INVALID",
    });
    await assert.rejects(opened.api.invoke.invoke({ ...request, verb: "" }, signal), { code: "UNAVAILABLE" });
  });
});

describe("a call that fails", () => {
  it("tells a fault of the runtime to the log, and nothing of it to the plugin", async () => {
    await using opened = await open();
    const { blocks } = opened;
    const broken: Blocks = { ...blocks, state: { ...blocks.state, get: () => Promise.reject(new Error("a detail")) } };
    await assert.rejects(opened.through(broken).state.get("inventory", "k", signal), (error: RuntimeError) => {
      assert.equal(error.code, "INTERNAL");
      assert.doesNotMatch(error.message, /detail/);
      return error instanceof RuntimeError;
    });
    assert.match(opened.lines.join(), /a detail/);
  });

  it("is CANCELLED when its signal has aborted, whatever for, and is no fault", async () => {
    await using opened = await open();
    const aborted = AbortSignal.abort(new Error("the guest is gone"));
    await assert.rejects(opened.api.state.get("inventory", "k", aborted), { code: "CANCELLED" });
    assert.deepEqual(opened.lines, []);
  });

  it("is counted no more than one that succeeds: a component that is replaced waits for both", async () => {
    await using opened = await open();
    const { blocks } = opened;
    const gate = Promise.withResolvers<void>();
    const waiting = {
      ...blocks,
      state: {
        ...blocks.state,
        get: () => gate.promise.then(() => Promise.reject(new RuntimeError("ABORTED", "X", "x"))),
      },
    };
    const call = opened.through(waiting).state.get("inventory", "k", signal);
    let isSettled = false;
    const settled = opened.calls.settled(60_000).then(() => {
      isSettled = true;
    });
    await Promise.resolve();
    assert.equal(isSettled, false);
    gate.resolve();
    await assert.rejects(call, { code: "ABORTED" });
    await settled;
  });
});

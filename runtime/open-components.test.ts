import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { catalog } from "../components/catalog.ts";
import { callWith, eventually } from "../test/conformance/backend.ts";
import { silentLog } from "../test/support/api.ts";
import { startRedis } from "../test/support/redis-server.ts";
import { temporaryDirectory } from "../test/support/sidecar.ts";
import { parseConfiguration } from "./config/load.ts";
import { openComponents } from "./open-components.ts";
import { Metrics } from "./telemetry/metrics.ts";

const telemetry = { log: silentLog, metrics: new Metrics() };

const load = (directory: string, components: Record<string, unknown>) =>
  parseConfiguration(JSON.stringify({ components }), join(directory, "outrigger.yaml"), {
    known: catalog,
    environment: {},
  });

test("all components open, those on SQLite in one thread, and close again", async () => {
  await using directory = await temporaryDirectory();
  const loaded = await load(directory.path, {
    state: { orders: { type: "sqlite", keyPrefix: "name" }, cache: { type: "memory" } },
    lock: { jobs: { type: "sqlite" } },
  });
  for (let time = 0; time < 2; time++) {
    await using components = await openComponents(loaded, catalog, telemetry);
    assert.deepEqual(components.storesOf("state").names(), ["cache", "orders"]);
    assert.equal(components.storesOf("state").find("orders").keyPrefix, "name");
    assert.deepEqual(components.storesOf("lock").names(), ["jobs"]);
    assert.deepEqual(components.storesOf("pubsub").names(), []);
  }
});

test("a component that cannot be opened is named, and the others are closed", async () => {
  await using directory = await temporaryDirectory();
  await mkdir(join(directory.path, "data", "folder"), { recursive: true });
  const good = { orders: { type: "sqlite" } };
  const bad = await load(directory.path, {
    state: { ...good, broken: { type: "sqlite", path: "folder" } },
    lock: { alsoBroken: { type: "sqlite", path: "folder" } },
  });
  await assert.rejects(
    openComponents(bad, catalog, telemetry),
    /^RuntimeError: the state component 'broken' cannot be/,
  );
  await using _ = await openComponents(await load(directory.path, { state: good }), catalog, telemetry);
});

test("a component whose server is away at the start is opened when the server comes, and the others serve meanwhile", async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis();
  await redis.kill();
  const loaded = await load(directory.path, {
    state: {
      orders: { type: "redis", url: `redis://${redis.address}`, connectTimeoutMs: 200 },
      cache: { type: "memory" },
    },
  });
  await using components = await openComponents(loaded, catalog, telemetry);
  const state = components.storesOf("state");
  assert.equal(state.find("cache").type, "memory");
  assert.deepEqual([...components.statuses.down.keys()], ["state/orders"]);
  assert.throws(() => state.find("orders"), {
    code: "UNAVAILABLE",
    message: /^state store 'orders' cannot be used yet: the Redis of 'orders' cannot be reached/,
  });
  assert.match(await telemetry.metrics.expose(), /^outrigger_component_up\{kind="state",name="orders"\} 0$/m);
  await redis.start();
  await eventually("the component is open", () => state.names().includes("orders"));
  assert.equal(components.statuses.down.size, 0);
  assert.match(await telemetry.metrics.expose(), /^outrigger_component_up\{kind="state",name="orders"\} 1$/m);
  assert.equal(await state.find("orders").store.get({ key: "none", consistency: "strong" }, callWith()), undefined);
});

test("disposing ends the tries to open a component whose server is away", async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis();
  await redis.kill();
  const loaded = await load(directory.path, {
    state: { orders: { type: "redis", url: `redis://${redis.address}`, connectTimeoutMs: 200 } },
  });
  const components = await openComponents(loaded, catalog, telemetry);
  await components[Symbol.asyncDispose]();
  assert.deepEqual(components.storesOf("state").names(), []);
});

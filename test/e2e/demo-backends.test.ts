/** The demo and each building block, with one line of the configuration changed per component and nothing else. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { catalog } from "../../components/catalog.ts";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { demoConfiguration, deploy } from "../support/demo.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { ask } from "../support/http.ts";
import { startKafka } from "../support/kafka-server.ts";
import { startNats } from "../support/nats-server.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { startedFor } from "../support/programs.ts";
import { startRedis } from "../support/redis-server.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

/** What a backend's line in the configuration is beside its type, and the server that it needs. */
interface Backend {
  readonly start?: () => Promise<AsyncDisposable & { readonly address: string }>;
  readonly settings?: (address: string) => Readonly<Record<string, unknown>>;
}

const backends: Readonly<Record<string, Backend>> = {
  memory: {},
  sqlite: {},
  redis: { start: startRedis, settings: (address) => ({ url: `redis://${address}` }) },
  nats: { start: startNats, settings: (address) => ({ servers: [address] }) },
  kafka: { start: () => startKafka("4.4.0"), settings: (address) => ({ brokers: [address] }) },
  etcd: { start: startEtcd, settings: (address) => ({ endpoints: [address] }) },
  postgres: { start: startPostgres, settings: (address) => ({ url: `postgres://${address}` }) },
};

type Components = Readonly<Record<string, Readonly<Record<string, { readonly type: string }>>>>;

/** The components of the demo: of the type wherever its kind has it, else in memory, else as they are. */
function componentsOf(components: Components, type: string, settings: object): Components {
  const types = catalog as Readonly<Record<string, object>>;
  return Object.fromEntries(
    Object.entries(components).map(([kind, named]) => {
      if (type in (types[kind] ?? {})) return [kind, all(named, { type, ...settings })];
      return [kind, "memory" in (types[kind] ?? {}) ? all(named, { type: "memory" }) : named];
    }),
  );
}

const all = (named: Components[string], component: { readonly type: string }): Components[string] =>
  Object.fromEntries(Object.keys(named).map((name) => [name, component]));

async function useTheDemo(sidecar: Sidecar): Promise<void> {
  const send = (path: string, method: string, body: object) =>
    ask(sidecar.ingress, `/inventory/${path}`, { method, body: JSON.stringify(body) });
  assert.equal((await send("apple", "PUT", { stock: 10 })).status, 200);
  assert.equal((await send("apple/take", "POST", { quantity: 3 })).status, 200);
  assert.equal(JSON.parse((await ask(sidecar.ingress, "/inventory/apple")).text).stock, 7);
  assert.equal((await send("apple/take", "POST", { quantity: 8 })).status, 409);
}

async function useEveryBlock({ grpc }: Sidecar): Promise<void> {
  await using client = new OutriggerClient({ address: grpc });
  await client.state.save({ store: "inventory", key: "basket", value: json({ apples: 3 }) });
  const basket = await client.state.get({ store: "inventory", key: "basket" });
  assert.deepEqual(basket?.value.json(), { apples: 3 });

  await using subscription = await client.pubsub.subscribe({ pubsub: "events", topic: "orders" });
  await client.pubsub.publish({ pubsub: "events", topic: "orders", data: "first" });
  for await (const event of subscription) {
    assert.equal(event.data.text(), "first");
    await event.ack();
    break;
  }

  await client.config.save({ store: "settings", items: [{ key: "currency", content: "EUR" }] });
  assert.deepEqual(
    (await client.config.get({ store: "settings", keys: ["currency"] })).map(({ content }) => content),
    ["EUR"],
  );

  const lease = { store: "jobs", resource: "nightly", owner: "one", expireSeconds: 60 };
  assert.equal(await client.lock.tryLock(lease), true);
  assert.equal(await client.lock.tryLock({ ...lease, owner: "two" }), false);
  assert.equal(await client.lock.unlock(lease), "success");

  const ids = [
    await client.sequencer.next({ store: "ids", key: "order" }),
    await client.sequencer.next({ store: "ids", key: "order" }),
  ];
  assert.equal(new Set(ids).size, 2);
}

describe("the demo works the same", () => {
  for (const [type, { start, settings }] of Object.entries(backends)) {
    it(`on ${type}`, async (context) => {
      await using server = start === undefined ? undefined : await startedFor(context, start);
      if (start !== undefined && server === undefined) return;
      await using directory = await temporaryDirectory();
      for (const plugin of ["rate-limit", "inventory"]) await deploy(directory.path, plugin);
      const demo = await demoConfiguration();
      const components = componentsOf(demo.components as Components, type, settings?.(server?.address ?? "") ?? {});
      await using sidecar = await startSidecar(directory.path, { ...demo, components });
      await useTheDemo(sidecar);
      await useEveryBlock(sidecar);
    });
  }
});

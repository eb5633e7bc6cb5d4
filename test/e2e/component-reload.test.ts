/** Components that change in the configuration file while the sidecar serves. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { rename, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { json, OutriggerClient, serveCallbacks } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { ask } from "../support/http.ts";
import { redisCli, startRedis } from "../support/redis-server.ts";
import { onFreePorts, type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

/** Writes the file, and resolves when the sidecar has said what it thinks of it. */
async function reconfigure({ directory, log }: Sidecar, configuration: Record<string, unknown>): Promise<string> {
  const said = (): string[] =>
    log.map(({ msg }) => msg).filter((message) => message.startsWith("the changed configuration "));
  const before = said().length;
  await writeFile(join(directory, "next.yaml"), stringify(onFreePorts(configuration)));
  await rename(join(directory, "next.yaml"), join(directory, "outrigger.yaml"));
  await eventually("the sidecar has taken notice", () => said().length > before);
  return said().at(-1) ?? "";
}

const inForce = "the changed configuration is in force";
const closed = ({ log }: Sidecar): unknown[] =>
  log
    .filter(({ msg }) => msg === "a component that is no longer in service is closed")
    .map(({ component }) => component);

describe("a component in the configuration file of a running sidecar", () => {
  it("is replaced without a failed request, added and removed, while the others keep what they have", async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis();
    const cache = { type: "memory" };
    const state = { orders: { type: "memory" }, cache };
    await using sidecar = await startSidecar(directory.path, { components: { state } });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await client.state.save({ store: "cache", key: "a", value: json(1) });
    let isOver = false;
    const failures: unknown[] = [];
    const load = Promise.all(
      Array.from({ length: 8 }, async (_, worker) => {
        for (let time = 0; !isOver; time++) {
          const key = `${worker}-${time}`;
          try {
            await client.state.save({ store: "orders", key, value: json(time) });
            await client.state.get({ store: "orders", key });
          } catch (error) {
            failures.push(error);
          }
        }
      }),
    );
    const orders = { type: "redis", url: `redis://${redis.address}`, keyPrefix: "none" };
    assert.equal(await reconfigure(sidecar, { components: { state: { orders, cache } } }), inForce);
    await eventually("the one before is closed", () => closed(sidecar).length > 0);
    isOver = true;
    await load;
    assert.deepEqual(failures, []);
    assert.deepEqual(closed(sidecar), ["orders"]);
    await client.state.save({ store: "orders", key: "kept", value: json(2) });
    assert.equal((await client.state.get({ store: "cache", key: "a" }))?.value.text(), "1");

    // The same Redis under another prefix: nothing is opened or closed.
    const next = { orders: { ...orders, keyPrefix: "shop" }, more: { type: "memory" } };
    assert.equal(await reconfigure(sidecar, { components: { state: next } }), inForce);
    assert.equal(await client.state.get({ store: "orders", key: "kept" }), undefined);
    await client.state.save({ store: "more", key: "b", value: json(3) });
    await assert.rejects(
      client.state.get({ store: "cache", key: "a" }),
      /'cache' is not configured; configured: more, orders/,
    );
    await eventually("the one that was removed is closed", () => closed(sidecar).length > 1);
    assert.deepEqual(closed(sidecar), ["orders", "cache"]);
  });

  it("leaves everything as it was when its settings are refused, and tries again", async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis("--requirepass", "right");
    const state = { orders: { type: "memory" } };
    await using sidecar = await startSidecar(directory.path, { components: { state } });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await client.state.save({ store: "orders", key: "a", value: json(1) });
    const wrong = { type: "redis", url: `redis://${redis.address}`, password: "wrong" };
    const components = { state: { orders: wrong }, lock: { jobs: { type: "memory" } } };
    assert.match(await reconfigure(sidecar, { components }), /is refused; the one before stays in force/);
    assert.equal((await client.state.get({ store: "orders", key: "a" }))?.value.text(), "1");
    await assert.rejects(
      client.lock.tryLock({ store: "jobs", resource: "r", owner: "o", expireSeconds: 1 }),
      /no lock store is configured/,
    );
    assert.deepEqual(closed(sidecar), []);
    const health = (): Promise<string> => ask(sidecar.admin, "/actuator/health/readiness").then(({ text }) => text);
    assert.match(await health(), /"configuration":\{"status":"UP","details":\{"reason":"refused: the state component/);

    await redisCli(redis, "--pass", "right", "CONFIG", "SET", "requirepass", "wrong");
    await sidecar.logged(({ msg }) => msg === inForce);
    assert.equal(await client.lock.tryLock({ store: "jobs", resource: "r", owner: "o", expireSeconds: 1 }), true);
    assert.doesNotMatch(await health(), /refused/);
  });

  it("goes on as it was until the server of the new one answers", async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis();
    await redis.kill();
    await using sidecar = await startSidecar(directory.path, { components: { state: { orders: { type: "memory" } } } });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await client.state.save({ store: "orders", key: "a", value: json(1) });
    const orders = { type: "redis", url: `redis://${redis.address}`, connectTimeoutMs: 200 };
    assert.equal(await reconfigure(sidecar, { components: { state: { orders } } }), inForce);
    assert.equal((await client.state.get({ store: "orders", key: "a" }))?.value.text(), "1");
    await redis.start();
    await eventually(
      "the new one serves",
      async () => (await client.state.get({ store: "orders", key: "a" })) === undefined,
    );
  });

  it("takes over a database file that only one can hold, and gives it back when the change is refused", async () => {
    await using directory = await temporaryDirectory();
    const orders = { type: "sqlite", path: "one.db" };
    await using sidecar = await startSidecar(directory.path, { components: { state: { orders } } });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await client.state.save({ store: "orders", key: "a", value: json(1) });
    const renamed = { sales: { ...orders, keyPrefix: "none" } };
    assert.equal(await reconfigure(sidecar, { components: { state: renamed } }), inForce);
    await client.state.save({ store: "sales", key: "b", value: json(2) });
    const two = {
      sales: { ...orders, maxBytes: 1024 ** 2, keyPrefix: "none" },
      again: { ...orders, keyPrefix: "none" },
    };
    assert.match(await reconfigure(sidecar, { components: { state: two } }), /is refused/);
    assert.equal((await client.state.get({ store: "sales", key: "b" }))?.value.text(), "2");
  });

  it("takes the subscriptions of the application along, and brings those that it could not have before", async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis();
    const seen: string[] = [];
    await using application = await serveCallbacks({
      port: 0,
      topics: {
        "events/news": async ({ data }) => {
          seen.push(`events ${data.text()}`);
          return "success";
        },
        "later/news": async ({ data }) => {
          seen.push(`later ${data.text()}`);
          return "success";
        },
      },
    });
    const app = { grpc: application.address };
    const stream = { type: "redis", url: `redis://${redis.address}` };
    await using sidecar = await startSidecar(directory.path, {
      app,
      components: { pubsub: { events: { type: "memory" } } },
    });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    const subscribed = sidecar.logged(({ msg }) => msg === "the application is subscribed");
    await subscribed;
    const pubsub = { events: stream, later: { type: "memory" } };
    assert.equal(await reconfigure(sidecar, { app, components: { pubsub } }), inForce);
    await sidecar.logged((line) => line.msg === "the application is subscribed" && line.pubsub === "later");
    await client.pubsub.publish({ pubsub: "events", topic: "news", data: "one" });
    await client.pubsub.publish({ pubsub: "later", topic: "news", data: "two" });
    await eventually("both have come", () => seen.length === 2);
    assert.deepEqual(seen.sort(), ["events one", "later two"]);
  });

  it("brings the events of a binding that is added, and no more of one that is removed", async () => {
    await using directory = await temporaryDirectory();
    const paths = new Set<string>();
    const server = createServer((request, response) => {
      paths.add(request.url ?? "");
      request.resume().on("end", () => response.writeHead(204).end());
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const app = { http: `127.0.0.1:${(server.address() as AddressInfo).port}` };
    const tick = { type: "cron", schedule: "@every 100ms" };
    await using sidecar = await startSidecar(directory.path, { app, components: { binding: { first: tick } } });
    await eventually("the first ticks", () => paths.has("/first"));
    assert.equal(await reconfigure(sidecar, { app, components: { binding: { second: tick } } }), inForce);
    await eventually("the second ticks", () => paths.has("/second"));
    await eventually("the first is closed", () => closed(sidecar).length === 1);
    paths.clear();
    await eventually("the second ticks on", () => paths.has("/second"));
    assert.deepEqual([...paths], ["/second"]);
    server.closeAllConnections();
    server.close();
  });
});

/** A sidecar ends when it is told to, whatever its servers do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytes, OutriggerClient } from "../../sdk/index.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { startKafka } from "../support/kafka-server.ts";
import { startNats } from "../support/nats-server.ts";
import { startedFor } from "../support/programs.ts";
import { startRedis } from "../support/redis-server.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { suspend } from "../support/suspend.ts";

interface Hanging {
  start(): Promise<ServerProcess & { readonly address: string }>;
  component(address: string): { readonly state?: object; readonly pubsub?: object };
}

const servers: Readonly<Record<string, Hanging>> = {
  redis: {
    start: startRedis,
    component: (address) => ({
      state: { type: "redis", url: `redis://${address}` },
      pubsub: { type: "redis", url: `redis://${address}` },
    }),
  },
  nats: {
    start: startNats,
    component: (address) => ({
      state: { type: "nats", servers: [address] },
      pubsub: { type: "nats", servers: [address] },
    }),
  },
  kafka: {
    start: () => startKafka("4.4.0"),
    component: (address) => ({ pubsub: { type: "kafka", brokers: [address] } }),
  },
  etcd: { start: startEtcd, component: (address) => ({ state: { type: "etcd", endpoints: [address] } }) },
};

describe("SIGTERM ends a sidecar with calls in flight and a subscription", () => {
  for (const [name, { start, component }] of Object.entries(servers)) {
    it(`before a ${name} that hangs`, async (context) => {
      await using server = await startedFor(context, start);
      if (server === undefined) return;
      await using directory = await temporaryDirectory();
      const { state = { type: "memory" }, pubsub = { type: "memory" } } = component(server.address);
      await using sidecar = await startSidecar(directory.path, {
        components: { state: { orders: state }, pubsub: { events: pubsub } },
      });
      await using client = new OutriggerClient({ address: sidecar.grpc, timeoutMs: 2_000 });
      await using subscription = await client.pubsub.subscribe({ pubsub: "events", topic: "orders" });
      const listening = (async () => {
        for await (const event of subscription) await event.ack();
      })().catch(() => undefined);
      const save = () => client.state.save({ store: "orders", key: "one", value: bytes(Buffer.from("x")) });
      const publish = () => client.pubsub.publish({ pubsub: "events", topic: "orders", data: "x" });
      await Promise.all([save(), publish()]);
      await suspend(server.process.pid);
      const inFlight = Promise.allSettled([save(), publish()]);
      const { code, signal } = await sidecar.stop("SIGTERM");
      assert.equal(signal, null);
      assert.equal(typeof code, "number");
      server.process.kill("SIGCONT");
      await inFlight;
      await listening;
    });
  }
});

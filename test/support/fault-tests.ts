import { describe, it } from "node:test";
import { startEtcd } from "./etcd-server.ts";
import { type FaultCase, publishThroughCrash, publishThroughKills, writeThroughKills } from "./faults.ts";
import { startKafka } from "./kafka-server.ts";
import { startNats } from "./nats-server.ts";
import { startPostgres } from "./postgres-server.ts";
import { startedFor } from "./programs.ts";
import { startRedis } from "./redis-server.ts";
import type { ServerProcess } from "./server-process.ts";

interface FaultServer {
  /** Started so that it keeps what it acknowledges when it is killed. */
  start(): Promise<ServerProcess & { readonly address: string }>;
  /** The component before the server at the address, of each kind to be tried. */
  readonly state?: (address: string) => FaultCase["component"];
  readonly pubsub?: (address: string) => FaultCase["component"];
}

const servers: Readonly<Record<string, FaultServer>> = {
  redis: {
    start: () => startRedis("--appendonly", "yes", "--appendfsync", "always"),
    state: (address) => ({ type: "redis", url: `redis://${address}` }),
    pubsub: (address) => ({ type: "redis", url: `redis://${address}`, claimIdleMs: 2_000 }),
  },
  nats: {
    start: startNats,
    state: (address) => ({ type: "nats", servers: [address] }),
    pubsub: (address) => ({ type: "nats", servers: [address], ackWaitMs: 2_000 }),
  },
  kafka: {
    start: () => startKafka("4.4.0"),
    pubsub: (address) => ({ type: "kafka", brokers: [address] }),
  },
  etcd: {
    start: startEtcd,
    state: (address) => ({ type: "etcd", endpoints: [address] }),
  },
  postgres: {
    start: startPostgres,
    state: (address) => ({ type: "postgres", url: `postgres://${address}` }),
  },
};

const longestMs = 600_000;

/** Registers, for each server, `count` writes and `count` messages with the server killed and started again twice. */
export function faultTests(count: number): void {
  for (const [name, { start, state, pubsub }] of Object.entries(servers)) {
    describe(`${name}, killed in the middle`, () => {
      for (const [what, componentOf, run] of [
        ["writes", state, writeThroughKills],
        ["messages", pubsub, publishThroughKills],
      ] as const) {
        if (componentOf === undefined) continue;
        it(`loses none of ${count} acknowledged ${what}`, { timeout: longestMs }, async (context) => {
          await using server = await startedFor(context, start);
          if (server === undefined) return;
          await run({ server, component: componentOf(server.address) }, count);
        });
      }
      if (pubsub === undefined) return;
      it("loses no acknowledged message with a sidecar that dies before its application acknowledges", async (context) => {
        await using server = await startedFor(context, start);
        if (server === undefined) return;
        await publishThroughCrash({ server, component: pubsub(server.address) }, 100);
      });
    });
  }
}

/**
 * How much of a backend's speed does the sidecar leave? Calls through the whole sidecar, against a program that does nothing else
 * but call the same server with the same client, each with one core. The goal: half of ioredis's reads with 64 in flight. And what
 * would auto-pipelining cost, with which the state store does not read?
 */
import { spawnSync } from "node:child_process";
import { startKafka } from "../support/kafka-server.ts";
import { startNats } from "../support/nats-server.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { ProgramMissing } from "../support/programs.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { type BackendUser, programWith, sidecarBefore, sidecarName } from "./support/backend-users.ts";
import type { Operation } from "./support/backend-ways.ts";
import { Figures } from "./support/figures.ts";
import { cores, pinDriver } from "./support/pinned-process.ts";
import { startRedis } from "./support/redis.ts";
import { type Contender, type Costs, compare } from "./support/rounds.ts";

/** Calls of one turn: a good half of a second of them, so that many turns fit between the things that others do. */
const sizes = [
  { inFlight: 64, calls: 15_000, rounds: 9 },
  { inFlight: 1, calls: 2_000, rounds: 5 },
] as const;
const [together] = sizes;
const leastOfRedisGet = 0.5;
const what: Readonly<Record<Operation, string>> = { get: "get state", set: "set state", publish: "publish" };

/** Servers beside Redis: what is done with 64 in flight, and with which client. */
interface Other {
  readonly type: string;
  readonly client: string;
  readonly operations: readonly Operation[];
  readonly calls: number;
  start(): Promise<ServerProcess & { readonly address: string }>;
  settings(address: string): Readonly<Record<string, unknown>>;
}

const others: readonly Other[] = [
  {
    type: "nats",
    client: "nats",
    operations: ["get", "publish"],
    calls: 6_000,
    start: startNats,
    settings: (address) => ({ servers: [address] }),
  },
  {
    type: "postgres",
    client: "pg",
    operations: ["get"],
    calls: 4_000,
    start: startPostgres,
    settings: (address) => ({ url: `postgres://${address}` }),
  },
  {
    type: "kafka",
    client: "kafkajs",
    operations: ["publish"],
    calls: 2_000,
    start: () => startKafka("4.4.0"),
    settings: (address) => ({ brokers: [address] }),
  },
];

const doing =
  (operation: Operation, inFlight: number) =>
  ({ name, cpuSeconds, load }: BackendUser): Contender => ({
    name,
    cpuSeconds,
    load: (calls) => load(operation, calls, inFlight),
  });

const perSecond = (secondsOf100000: number): string =>
  `${Math.round(100_000 / secondsOf100000).toLocaleString("en")}/s`;

pinDriver();
const figures = new Figures("backends through the sidecar");

/** Seconds of the other by ours are calls of ours by the other's. */
function add(title: string, { of, ratio, spread }: Costs, other: string, least?: number): void {
  figures.add({
    what: `${title} against ${other}`,
    measured: perSecond(of(sidecarName)),
    against: perSecond(of(other)),
    value: ratio(other, sidecarName),
    spread: spread(other, sidecarName),
    ...(least === undefined ? {} : { least }),
  });
}

async function onRedis(): Promise<void> {
  await using open = new AsyncDisposableStack();
  const redis = await startRedis();
  if (redis === undefined) return figures.addNotMeasured("redis", "there is no redis-server here");
  open.use(redis);
  const { address } = redis;
  const sidecar = await sidecarBefore({ type: "redis", url: `redis://${address}` }, ["state", "pubsub"], open);
  const program = (way: string): Promise<BackendUser> => programWith(way, { type: "redis", address }, open);
  const bare = await program("ioredis");
  const pipelining = await program("ioredis autopipelining");
  for (const { inFlight, calls: requests, rounds } of sizes) {
    for (const operation of ["get", "set"] as const) {
      const users = [sidecar, bare, pipelining].map(doing(operation, inFlight));
      const costs = await compare(users, { requests, warmUp: requests, rounds });
      const title = `redis: ${what[operation]} × ${inFlight}`;
      const least = operation === "get" && inFlight === together.inFlight ? leastOfRedisGet : undefined;
      add(`${title}, calls a second`, costs.wall, bare.name, least);
      add(`${title}, calls a second`, costs.wall, pipelining.name);
      add(`${title}, calls a CPU second`, costs, bare.name);
    }
  }
  const { inFlight, calls: requests, rounds } = together;
  const published = await compare([sidecar, bare].map(doing("publish", inFlight)), {
    requests,
    warmUp: requests,
    rounds,
  });
  add(`redis: ${what.publish} × ${inFlight}, calls a second`, published.wall, bare.name);

  const store = await program("state store");
  const hashes = await program("ioredis autopipelining hashes");
  for (const { inFlight, calls: requests, rounds } of sizes) {
    const costs = await compare([store, hashes].map(doing("get", inFlight)), { requests, warmUp: requests, rounds });
    figures.add({
      what: `redis: the state store alone, get × ${inFlight}, CPU against a command a call with autopipelining`,
      measured: `${costs.of(store.name).toFixed(3)} s`,
      against: `${costs.of(hashes.name).toFixed(3)} s`,
      value: costs.ratio(store.name, hashes.name),
      spread: costs.spread(store.name, hashes.name),
      ...(inFlight === together.inFlight ? { goal: 1 } : {}),
    });
  }
}

async function on({ type, client, operations, calls: requests, start, settings }: Other): Promise<void> {
  await using open = new AsyncDisposableStack();
  const server = open.use(await start());
  // Where Redis is, too: the core that is not measured.
  spawnSync("taskset", ["-a", "-c", "-p", String(cores.driver), String(server.process.pid)], { stdio: "ignore" });
  const { address } = server;
  const kinds = [...new Set(operations.map((operation) => (operation === "publish" ? "pubsub" : "state")))];
  const sidecar = await sidecarBefore({ type, ...settings(address) }, kinds, open);
  const bare = await programWith(client, { type, address }, open);
  for (const operation of operations) {
    const users = [sidecar, bare].map(doing(operation, together.inFlight));
    const costs = await compare(users, { requests, warmUp: requests, rounds: 5 });
    add(`${type}: ${what[operation]} × ${together.inFlight}, calls a second`, costs.wall, client);
  }
}

await onRedis();
for (const other of others) {
  try {
    await on(other);
  } catch (error) {
    if (error instanceof ProgramMissing) figures.addNotMeasured(other.type, error.message);
    else figures.addFailed(other.type, error);
  }
}
figures.finish();

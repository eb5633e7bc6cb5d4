/** How a program of its own would use a server: what the sidecar's components are measured against. */
import { Redis } from "ioredis";
import { Kafka, logLevel } from "kafkajs";
import { connect } from "nats";
import pg from "pg";
import { redisStateStore } from "../../../components/state/redis.ts";
import { callWith } from "../../conformance/backend.ts";
import { openContext } from "../../support/open-context.ts";
import { value } from "./state-call.ts";

export type Operation = "get" | "set" | "publish";
export type Call = () => Promise<unknown>;
/** The operations of each way to use the server. */
export type Ways = Readonly<Record<string, Readonly<Partial<Record<Operation, Call>>>>>;

const bytes = Buffer.from(value);
const key = "bench-bare";

async function redis(address: string): Promise<Ways> {
  const [host = "", port = ""] = address.split(":");
  const server = { host, port: Number(port) };
  const plain = new Redis(server);
  const pipelining = new Redis({ ...server, enableAutoPipelining: true });
  const settings = redisStateStore.config.parse({ url: `redis://${address}` });
  const store = await redisStateStore.open(settings, openContext("bench"));
  const call = callWith();
  const set = { key: "bench-state", value, concurrency: "last-write", consistency: "strong" } as const;
  await plain.set(key, bytes);
  await store.set(set, call);
  return {
    ioredis: {
      get: () => plain.getBuffer(key),
      set: () => plain.set(key, bytes),
      publish: () => plain.xadd("bench-stream", "MAXLEN", "~", 10_000, "*", "data", bytes),
    },
    "ioredis autopipelining": { get: () => pipelining.getBuffer(key), set: () => pipelining.set(key, bytes) },
    // What the state store reads, one command each.
    "ioredis autopipelining hashes": { get: () => pipelining.hmgetBuffer(set.key, "data", "version") },
    "state store": { get: () => store.get({ key: set.key, consistency: "strong" }, call) },
  };
}

async function nats(address: string): Promise<Ways> {
  const connection = await connect({ servers: address });
  const manager = await connection.jetstreamManager();
  await manager.streams.add({ name: "bench-bare", subjects: ["bench.bare"] });
  const jetStream = connection.jetstream();
  const bucket = await jetStream.views.kv("bench-bare");
  await bucket.put(key, bytes);
  return {
    nats: {
      get: () => bucket.get(key),
      set: () => bucket.put(key, bytes),
      publish: () => jetStream.publish("bench.bare", bytes),
    },
  };
}

async function postgres(address: string): Promise<Ways> {
  const pool = new pg.Pool({ connectionString: `postgres://postgres@${address}/postgres`, max: 8 });
  await pool.query("CREATE TABLE IF NOT EXISTS bench_bare (key text PRIMARY KEY, value bytea NOT NULL)");
  const put = {
    name: "put",
    text: "INSERT INTO bench_bare VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  };
  const get = { name: "get", text: "SELECT value FROM bench_bare WHERE key = $1" };
  const set: Call = () => pool.query({ ...put, values: [key, bytes] });
  await set();
  return { pg: { get: () => pool.query({ ...get, values: [key] }), set } };
}

async function kafka(address: string): Promise<Ways> {
  const client = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "bench-bare", numPartitions: 1 }], waitForLeaders: true });
  await admin.disconnect();
  const producer = client.producer({ idempotent: true });
  await producer.connect();
  await producer.send({ topic: "bench-bare", messages: [{ value: bytes }] });
  return { kafkajs: { publish: () => producer.send({ topic: "bench-bare", messages: [{ value: bytes }] }) } };
}

/** The ways to use each server, by its type. */
export const waysOf: Readonly<Record<string, (address: string) => Promise<Ways>>> = { redis, nats, postgres, kafka };

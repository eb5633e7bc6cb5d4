/**
 * Reads and writes one key of a Redis server when it is asked to over HTTP (`/?way=ioredis&operation=get&calls=1000&inFlight=64`):
 * with ioredis as it comes, with its auto-pipelining, or through our state store with nothing around it.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { redisStateStore } from "../../../components/state/redis.ts";
import { callWith } from "../../conformance/backend.ts";
import { openContext } from "../../support/open-context.ts";
import { value } from "./state-call.ts";

const [address = ""] = process.argv.slice(2);
const [host = "", port = ""] = address.split(":");
const server = { host, port: Number(port) };
const bytes = Buffer.from(value);
const [plainKey, stateKey] = ["bench-plain", "bench-state"];

type Call = () => Promise<unknown>;

const plain = new Redis(server);
const pipelining = new Redis({ ...server, enableAutoPipelining: true });
const store = await redisStateStore.open(
  redisStateStore.config.parse({ url: `redis://${address}` }),
  openContext("bench"),
);
const call = callWith();
const set = { key: stateKey, value, concurrency: "last-write", consistency: "strong" } as const;
await plain.set(plainKey, bytes);
await store.set(set, call);

const ways: Readonly<Record<string, Readonly<Record<string, Call>>>> = {
  ioredis: { get: () => plain.getBuffer(plainKey), set: () => plain.set(plainKey, bytes) },
  "ioredis autopipelining": { get: () => pipelining.getBuffer(plainKey), set: () => pipelining.set(plainKey, bytes) },
  // What the state store reads and writes, one command each.
  "ioredis autopipelining hashes": {
    get: () => pipelining.hmgetBuffer(stateKey, "data", "version"),
    set: () => pipelining.hset(stateKey, "data", bytes, "version", "1"),
  },
  "state store": {
    get: () => store.get({ key: stateKey, consistency: "strong" }, call),
    set: () => store.set(set, call),
  },
};

async function load(one: Call, calls: number, inFlight: number): Promise<void> {
  let left = calls;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}

const orders = http.createServer((request, response) => {
  const asked = new URL(request.url ?? "/", "http://caller").searchParams;
  const one = ways[asked.get("way") ?? ""]?.[asked.get("operation") ?? ""];
  const answer = (status: number, text: string): void => void response.writeHead(status).end(text);
  if (one === undefined) answer(404, `there are the ways ${Object.keys(ways).join(", ")}`);
  else
    load(one, Number(asked.get("calls")), Number(asked.get("inFlight"))).then(
      () => answer(200, ""),
      (error: unknown) => answer(500, String(error)),
    );
});
orders.listen(0, "127.0.0.1", () => console.log(`takes orders at 127.0.0.1:${(orders.address() as AddressInfo).port}`));

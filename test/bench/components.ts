/**
 * How much of a backend's speed does the sidecar leave? State on Redis through the whole sidecar, against ioredis in a process that
 * does nothing else, both with one core and the same server. Calls per second; the goal is half of ioredis's for reads with 64 in
 * flight. And what would auto-pipelining cost, with which the state store does not read and write?
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SaveStateRequest } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { startBenchSidecar } from "./support/contenders.ts";
import { Figures } from "./support/figures.ts";
import { lengthPrefixed } from "./support/grpc-probe.ts";
import { drive, grpcHeaders } from "./support/h2load.ts";
import { cores, pinDriver, startPinned } from "./support/pinned-process.ts";
import { startRedis } from "./support/redis.ts";
import { type Contender, type Costs, compare } from "./support/rounds.ts";
import { checkState, getStateMessage, getStatePath, seedState, storeName, value } from "./support/state-call.ts";

const operations = {
  get: { path: getStatePath, message: getStateMessage },
  set: {
    path: "/spec.proto.runtime.v1.Runtime/SaveState",
    message: SaveStateRequest.encode(
      SaveStateRequest.fromPartial({ storeName, states: [{ key: "bench", value }] }),
    ).finish(),
  },
} as const;
type Operation = keyof typeof operations;

/** Calls of one turn: a good half of a second of them, so that many turns fit between the things that others do. */
const sizes = [
  { inFlight: 64, calls: 15_000, leasts: { get: 0.5, set: undefined } },
  { inFlight: 1, calls: 2_000, leasts: { get: undefined, set: undefined } },
] as const;
const rounds = 9;
const ours = "outrigger";

/** A process that reads and writes the server. */
interface Measured {
  readonly name: string;
  cpuSeconds(): number;
  load(operation: Operation, calls: number, inFlight: number): Promise<void>;
}

async function throughSidecar(redisAddress: string, open: AsyncDisposableStack): Promise<Measured> {
  const components = { state: { [storeName]: { type: "redis", url: `redis://${redisAddress}`, keyPrefix: "none" } } };
  const sidecar = open.use(await startBenchSidecar({ configuration: { components } }));
  await seedState(sidecar.address);
  await checkState(sidecar.address);
  const bodyFile = (operation: Operation): string => join(sidecar.directory, `${operation}-body`);
  for (const operation of ["get", "set"] as const) {
    writeFileSync(bodyFile(operation), lengthPrefixed(operations[operation].message));
  }
  return {
    name: ours,
    cpuSeconds: sidecar.cpuSeconds,
    load: async (operation, requests, streams) => {
      const url = `http://${sidecar.address}${operations[operation].path}`;
      const { bodyBytes } = await drive({
        url,
        headers: grpcHeaders,
        bodyFile: bodyFile(operation),
        connections: 1,
        ...{ requests, streams },
      });
      const least = operation === "get" ? requests * value.length : requests * 5;
      if (bodyBytes < least) throw new Error(`the sidecar answered ${bodyBytes} bytes where ${least} were due`);
    },
  };
}

/** A process of its own for each way, so that none is warmed up or kept busy by another. */
async function directly(redisAddress: string, way: string, open: AsyncDisposableStack): Promise<Measured> {
  const caller = open.use(
    await startPinned({
      core: cores.measured,
      command: process.execPath,
      parameters: [join(import.meta.dirname, "support/backend-caller.ts"), redisAddress],
      ready: /^takes orders at (\S+)$/,
    }),
  );
  return {
    name: way,
    cpuSeconds: caller.cpuSeconds,
    load: async (operation, calls, inFlight) => {
      const query = new URLSearchParams({ way, operation, calls: String(calls), inFlight: String(inFlight) });
      const response = await fetch(`http://${caller.announced[1]}/?${query}`);
      if (!response.ok) throw new Error(await response.text());
    },
  };
}

const perSecond = (secondsOf100000: number): string =>
  `${Math.round(100_000 / secondsOf100000).toLocaleString("en")}/s`;

pinDriver();
const figures = new Figures("backends through the sidecar");
await using open = new AsyncDisposableStack();
const redis = await startRedis();
if (redis === undefined) figures.addNotMeasured("state on redis", "there is no redis-server here");
else {
  open.use(redis);
  const sidecar = await throughSidecar(redis.address, open);
  const caller = (way: string): Promise<Measured> => directly(redis.address, way, open);
  const bare = await caller("ioredis");
  const pipelining = await caller("ioredis autopipelining");
  const hashes = await caller("ioredis autopipelining hashes");
  const store = await caller("state store");
  const as =
    (operation: Operation, inFlight: number) =>
    ({ name, cpuSeconds, load }: Measured): Contender => ({
      name,
      cpuSeconds,
      load: (calls) => load(operation, calls, inFlight),
    });

  for (const { inFlight, calls: requests, leasts } of sizes) {
    for (const operation of ["get", "set"] as const) {
      const contenders = [sidecar, bare, pipelining].map(as(operation, inFlight));
      const costs = await compare(contenders, { requests, warmUp: requests, rounds });
      /** Seconds of the other by ours are calls of ours by the other's. */
      const add = (what: string, { of, ratio, spread }: Costs, other: string, least?: number): void =>
        figures.add({
          what: `${operation} state × ${inFlight}, ${what} against ${other}`,
          measured: perSecond(of(ours)),
          against: perSecond(of(other)),
          value: ratio(other, ours),
          spread: spread(other, ours),
          ...(least === undefined ? {} : { least }),
        });
      add("calls a second", costs.wall, bare.name, leasts[operation]);
      add("calls a second", costs.wall, pipelining.name);
      add("calls a CPU second", costs, bare.name);
    }
  }
  for (const { inFlight, calls: requests } of sizes) {
    const costs = await compare([store, hashes].map(as("get", inFlight)), { requests, warmUp: requests, rounds });
    figures.add({
      what: `get × ${inFlight} by the state store alone, CPU against one command a call with auto-pipelining`,
      measured: `${costs.of(store.name).toFixed(3)} s`,
      against: `${costs.of(hashes.name).toFixed(3)} s`,
      value: costs.ratio(store.name, hashes.name),
      spread: costs.spread(store.name, hashes.name),
      ...(inFlight > 1 ? { goal: 1 } : {}),
    });
  }
}
figures.finish();

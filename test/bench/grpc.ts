/**
 * What does a unary call cost? GetState on one core, against the same handlers on grpc-js and against grpc-go servers that
 * do nothing else, driven by h2load and by a real grpc-go client. CPU seconds of the server for 100,000 calls.
 */
import { catalog } from "../../components/catalog.ts";
import { startBenchSidecar, startGo, startGrpcJs } from "./support/contenders.ts";
import { Figures } from "./support/figures.ts";
import { goBench } from "./support/go-bench.ts";
import { goLoad } from "./support/go-load.ts";
import { pinDriver } from "./support/pinned-process.ts";
import { startRedis } from "./support/redis.ts";
import { type Costs, compare } from "./support/rounds.ts";
import { checkState, seedState, stateLoad, storeName } from "./support/state-call.ts";

const memory = { components: { state: { [storeName]: { type: "memory" } } } };
/** Calls of one turn: enough for a second of CPU where it counts, and no more. */
const sizes = [
  { streams: 100, requests: 50_000, goals: { "grpc-js": 1 / 8, "grpc-go": 1 / 3, redis: 1 / 2 } },
  { streams: 1, requests: 8_000, goals: { "grpc-js": 1 / 2.5, "grpc-go": 0.8, redis: 1 } },
] as const;
const inFlight = 64;
const ours = "outrigger";

pinDriver();
const figures = new Figures("unary calls");
const go = goBench();
using load = stateLoad();

interface Server {
  readonly address: string;
  cpuSeconds(): number;
}

function add(what: string, costs: Costs, rival: string, goal: number): void {
  const seconds = (name: string): string => `${costs.of(name).toFixed(3)} s`;
  const against = `${rival} ${seconds(rival)}`;
  figures.add({
    what,
    measured: seconds(ours),
    against,
    value: costs.ratio(ours, rival),
    spread: costs.spread(ours, rival),
    goal,
  });
}

function turns(
  servers: Readonly<Record<string, Server>>,
  { streams, requests }: { streams: number; requests: number },
) {
  const contenders = Object.entries(servers).map(([name, { address, cpuSeconds }]) => ({
    name,
    cpuSeconds,
    load: (calls: number) => load.drive(address, { connections: 1, streams, requests: calls }),
  }));
  return compare(contenders, { requests, warmUp: requests });
}

async function fromMemory(): Promise<void> {
  await using sidecar = await startBenchSidecar({ configuration: memory });
  await using grpcJs = await startGrpcJs({ configuration: memory });
  await using rivals = new AsyncDisposableStack();
  const goServer = go === undefined ? undefined : rivals.use(await startGo(go, ["state"]));
  for (const { address } of [sidecar, grpcJs]) await seedState(address);
  const servers: Record<string, Server> = { [ours]: sidecar, "grpc-js": grpcJs };
  if (goServer !== undefined) servers["grpc-go"] = goServer;
  for (const { address } of Object.values(servers)) await checkState(address);

  for (const size of sizes) {
    const costs = await turns(servers, size);
    for (const rival of ["grpc-js", "grpc-go"] as const) {
      const what = `GetState from memory × ${size.streams}, against ${rival}`;
      if (servers[rival] === undefined) figures.addNotMeasured(what, "the Go programs are not there");
      else add(what, costs, rival, size.goals[rival]);
    }
  }
  const what = `GetState from memory, a grpc-go client with ${inFlight} in flight`;
  if (go === undefined || goServer === undefined) return figures.addNotMeasured(what, "the Go programs are not there");
  const contenders = [sidecar, goServer].map(({ address, cpuSeconds }, index) => ({
    name: index === 0 ? ours : "grpc-go",
    cpuSeconds,
    load: (calls: number) => goLoad(go, { address, calls, inFlight }),
  }));
  add(what, await compare(contenders, { requests: 40_000, warmUp: 40_000 }), "grpc-go", 1 / 2);
}

async function fromRedis(): Promise<void> {
  await using server = await startRedis();
  const why =
    server === undefined
      ? "there is no redis-server here"
      : catalog.state.redis === undefined
        ? "there is no state store on redis yet"
        : go === undefined
          ? "the Go programs are not there"
          : undefined;
  if (why !== undefined || server === undefined || go === undefined) {
    for (const { streams } of sizes) figures.addNotMeasured(`GetState from redis × ${streams}`, why ?? "");
    return;
  }
  const components = { state: { [storeName]: { type: "redis", url: `redis://${server.address}`, keyPrefix: "none" } } };
  await using sidecar = await startBenchSidecar({ configuration: { components } });
  await using goServer = await startGo(go, ["state-redis", server.address]);
  await seedState(sidecar.address);
  const servers = { [ours]: sidecar, "grpc-go": goServer };
  for (const { address } of Object.values(servers)) await checkState(address);
  for (const size of sizes) {
    add(`GetState from redis × ${size.streams}`, await turns(servers, size), "grpc-go", size.goals.redis);
  }
}

await fromMemory();
await fromRedis();
figures.finish();

/**
 * `npm run soak [MINUTES [LOAD ...]]`: uses one sidecar in every way at once, ten minutes by default, and tells whether its
 * memory is flat; an error of any call, or a line of level error in its log, fails it. Parts of names of loads pick those.
 */
import { setTimeout } from "node:timers/promises";
import { startBenchSidecar } from "../bench/support/contenders.ts";
import { pinDriver } from "../bench/support/pinned-process.ts";
import { seedState, stateLoad, storeName } from "../bench/support/state-call.ts";
import { apiLoads, Events, stores } from "./api-loads.ts";
import { startApplication } from "./application.ts";
import { flatness, type MemorySample } from "./flatness.ts";
import { type SoakLoad, soak } from "./load.ts";
import { proxyLoads } from "./proxy-loads.ts";
import { redeployLoads } from "./redeploys.ts";

const [minutes = "10", ...picked] = process.argv.slice(2);
const seconds = Number(minutes) * 60;
if (!(seconds > 0)) throw new Error(`'${minutes}' is no number of minutes`);
const sampleMs = 3000;
const samplesOfLine = 10;
const bulk = { connections: 4, streams: 25, requests: 5000 } as const;
const megabyte = 1024 ** 2;

pinDriver();
const counts = { made: new Map<string, number>(), errors: [] as string[] };
const redeploys = await redeployLoads();
await using application = await startApplication();
await using events = await Events.open();
await using sidecar = await startBenchSidecar({
  configuration: {
    app: { id: "soak", grpc: events.address },
    components: {
      state: { [stores.state]: { type: "memory" }, [storeName]: { type: "memory" }, inventory: { type: "sqlite" } },
      pubsub: { [stores.pubsub]: { type: "memory" } },
    },
    upstreams: {
      http: { endpoints: [application.http] },
      grpc: { endpoints: [application.grpc], protocol: "grpc" },
    },
    plugins: { grants: { inventory: { state: ["inventory"], pubsub: [stores.pubsub] } } },
    ingress: {
      routes: [
        { match: { prefix: "/inventory" }, to: { plugin: "inventory" } },
        { match: { prefix: "/http" }, filters: ["header-change"], to: { upstream: "http" } },
        { match: { prefix: "/" }, to: { upstream: "grpc" } },
      ],
    },
  },
  filters: ["header-change"],
  prepare: redeploys.prepare,
  onLogLine: (line) => {
    if (/"level":[56]0/.test(line)) counts.errors.push(`log: ${line}`);
  },
});
await seedState(sidecar.address);
using load = stateLoad();
await using api = await apiLoads(sidecar.address, events);
using proxied = proxyLoads(sidecar.ingress);
const everyLoad: readonly SoakLoad[] = [
  ...api.loads,
  ...proxied.loads,
  ...redeploys.loads(sidecar.ingress, sidecar.directory),
  { name: `${bulk.requests} unary calls of h2load`, inFlight: 1, once: () => load.drive(sidecar.address, bulk) },
];
const loads = everyLoad.filter(({ name }) => picked.length === 0 || picked.some((part) => name.includes(part)));

const ending = new AbortController();
const soaking = soak(loads, counts, ending.signal).finally(() => ending.abort());
const samples: MemorySample[] = [];
const begin = performance.now();
const elapsed = (): number => (performance.now() - begin) / 1000;
while (elapsed() < seconds && !ending.signal.aborted && !sidecar.hasEnded()) {
  await setTimeout(Math.min(sampleMs, (seconds - elapsed()) * 1000 + 1));
  if (sidecar.hasEnded()) counts.errors.push("the sidecar has ended");
  else samples.push({ seconds: elapsed(), bytes: sidecar.residentBytes() });
  if (samples.length % samplesOfLine === 0) tell();
}
ending.abort();
await soaking;

function tell(): void {
  const made = [...counts.made.values()].reduce((sum, count) => sum + count, 0);
  const resident = ((samples.at(-1)?.bytes ?? 0) / megabyte).toFixed(1);
  console.log(`${elapsed().toFixed(0)} s: ${resident} MB, ${made} rounds, ${counts.errors.length} errors`);
}

for (const { name } of loads) console.log(`${name}: ${counts.made.get(name) ?? 0}`);
for (const error of counts.errors) console.log(`ERROR ${error}`);
const unused = loads.filter(({ name }) => !counts.made.has(name)).map(({ name }) => name);
const { isFlat, grownMb, toleratedMb, medianMb } = flatness(samples);
const verdict = isFlat ? "flat" : "NOT FLAT";
console.log(
  `soak of ${minutes} minutes: memory is ${verdict}: ${medianMb.toFixed(1)} MB after the warm-up, slope ${grownMb.toFixed(1)} MB ` +
    `over that time (at most ${toleratedMb.toFixed(1)}); ${counts.errors.length} errors` +
    (unused.length === 0 ? "" : `; never got through: ${unused.join(", ")}`),
);
process.exitCode = isFlat && counts.errors.length === 0 && unused.length === 0 ? 0 : 1;

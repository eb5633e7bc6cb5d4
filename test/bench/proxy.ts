/**
 * What does it cost to pass a gRPC call from one application to another? The sidecar's ingress on one core, without a filter
 * and with a WASM filter that changes headers, against nghttpx (C) and a proxy on grpc-go made as daprd's; CPU seconds of the
 * proxy for 100,000 calls, and the time that one call at a time takes longer than a direct one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBenchSidecar, startGo, startGrpcApp, startNghttpx } from "./support/contenders.ts";
import { Figures } from "./support/figures.ts";
import { goBench } from "./support/go-bench.ts";
import { addedLatency } from "./support/latency.ts";
import { pinDriver } from "./support/pinned-process.ts";
import { compare } from "./support/rounds.ts";
import { checkState, stateLoad } from "./support/state-call.ts";
import { tool } from "./support/tools.ts";

/** Calls of one turn, and what may be spent at most in proportion to each rival. */
const sizes = [
  { streams: 100, requests: 50_000, goals: { nghttpx: 1, "grpc-go": 1 / 5, filtered: 1 / 2 } },
  { streams: 1, requests: 8_000, goals: { nghttpx: 1.3, "grpc-go": 0.7, filtered: 1 / 2 } },
] as const;
const latencyGoal = 1.2;
const ours = "outrigger";
const quiet = "outrigger without an access log";
const filtered = "outrigger with a filter";
const logging = "nghttpx with an access log";
const missing = {
  nghttpx: "There is no nghttpx here.",
  [logging]: "There is no nghttpx here.",
  "grpc-go": "The Go programs could not be built here.",
} as const;

pinDriver();
const figures = new Figures("proxied gRPC calls");
const go = goBench();
const nghttpx = tool("nghttpx");
using load = stateLoad();
await using servers = new AsyncDisposableStack();
const app = servers.use(await startGrpcApp());

const configuration = (filters: readonly string[], level = "info") => ({
  log: { level },
  upstreams: { app: { endpoints: [app.address], protocol: "grpc" } },
  ingress: { filters, routes: [{ match: { prefix: "/" }, to: { upstream: "app" } }] },
});
const sidecar = servers.use(await startBenchSidecar({ configuration: configuration([]) }));
const silent = servers.use(await startBenchSidecar({ configuration: configuration([], "warn") }));
const filtering = servers.use(
  await startBenchSidecar({ configuration: configuration(["header-change"]), filters: ["header-change"] }),
);
const proxies = new Map([
  [ours, { address: sidecar.ingress, cpuSeconds: sidecar.cpuSeconds }],
  [quiet, { address: silent.ingress, cpuSeconds: silent.cpuSeconds }],
  [filtered, { address: filtering.ingress, cpuSeconds: filtering.cpuSeconds }],
]);
if (nghttpx !== undefined) {
  proxies.set("nghttpx", servers.use(await startNghttpx(nghttpx, app.address)));
  const file = join(servers.adopt(mkdtempSync(join(tmpdir(), "outrigger-bench-")), remove), "access.log");
  proxies.set(logging, servers.use(await startNghttpx(nghttpx, app.address, file)));
}
if (go !== undefined) proxies.set("grpc-go", servers.use(await startGo(go, ["proxy", app.address])));

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

async function costs(): Promise<void> {
  for (const { streams, requests, goals } of sizes) {
    const contenders = [...proxies].map(([name, { address, cpuSeconds }]) => ({
      name,
      cpuSeconds,
      load: (calls: number) => load.drive(address, { connections: 1, streams, requests: calls }),
    }));
    const measured = await compare(contenders, { requests, warmUp: requests });
    const add = (what: string, own: string, rival: keyof typeof missing, goal: number | undefined): void => {
      if (!proxies.has(rival)) {
        figures.addNotMeasured(what, missing[rival]);
        return;
      }
      const seconds = (name: string): string => `${measured.of(name).toFixed(3)} s`;
      figures.add({
        what,
        measured: seconds(own),
        against: `${rival} ${seconds(rival)}`,
        value: measured.ratio(own, rival),
        spread: measured.spread(own, rival),
        ...(goal === undefined ? {} : { goal }),
      });
    };
    add(`proxied × ${streams}, no filter, both with an access log`, ours, logging, goals.nghttpx);
    add(`proxied × ${streams}, no filter, neither with an access log`, quiet, "nghttpx", goals.nghttpx);
    add(`proxied × ${streams}, no filter, only ours with an access log`, ours, "nghttpx", goals.nghttpx);
    add(`proxied × ${streams}, no filter, against grpc-go`, ours, "grpc-go", goals["grpc-go"]);
    add(`proxied × ${streams}, a header-changing filter, against grpc-go`, filtered, "grpc-go", goals.filtered);
  }
}

async function latencies(): Promise<void> {
  const rival = proxies.get("nghttpx");
  const names = { p50: 0.5, p99: 0.99 } as const;
  const what = (name: string): string => `${name} added by the proxy, one call at a time`;
  if (rival === undefined) {
    for (const name of Object.keys(names)) figures.addNotMeasured(what(name), missing.nghttpx);
    return;
  }
  const added = await addedLatency(load, {
    direct: app.address,
    ours: sidecar.ingress,
    rival: rival.address,
  });
  for (const [name, fraction] of Object.entries(names)) {
    const { direct, ours: own, rival: theirs, ratio, spread } = added.at(fraction);
    const micros = (value: number): string => `${value.toFixed(0)} µs`;
    figures.add({
      what: what(name),
      measured: `${micros(own)} (a direct call takes ${micros(direct)})`,
      against: `nghttpx ${micros(theirs)}`,
      value: ratio,
      spread,
      goal: latencyGoal,
    });
  }
}

for (const { address } of proxies.values()) await checkState(address);
await costs();
await latencies();
figures.finish();

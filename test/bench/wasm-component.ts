/**
 * What does business logic cost that is a WebAssembly component? A warm call, beside the same call under jco alone and beside
 * JavaScript; requests of wasi:http through the whole sidecar, beside node:http and a service of Proxy-Wasm; starts, deploys and
 * what they leave in memory.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { rustComponents } from "../support/rust-components.ts";
import { assemble } from "../support/wat.ts";
import {
  type Calls,
  compileGuest,
  openCompiler,
  openUniformApi,
  throughEngine,
  throughJco,
  twoStateCalls,
  withoutGuest,
} from "./support/component-calls.ts";
import type { Reloaded } from "./support/component-reloads.ts";
import { keptIn, startServiceSidecar } from "./support/component-sidecars.ts";
import { Figures } from "./support/figures.ts";
import { drive } from "./support/h2load.ts";
import { cores, pinDriver, startPinned } from "./support/pinned-process.ts";
import { compare, quantile } from "./support/rounds.ts";

const goals = {
  callMicroseconds: 60,
  requestsPerSecond: 5_000,
  startMs: 3,
  deployMs: 200,
  workMs: 10,
  residentMb: 20,
  heapRatio: 1.05,
} as const;
const calls = { warmUp: 6_000, counted: 3_000, rounds: 9 };
const starts = 60;
const requests = { warmUp: 10_000, counted: 10_000, rounds: 5, connections: 32 };
const freshDeploys = 3;
const reloads = [50, 500] as const;
/** The thread that compiles ends ten seconds after its last module, and V8 keeps its pages for eight more. */
const settledMs = 22_000;
const megabyte = 1024 ** 2;

const asMicroseconds = (value: number): string => `${value.toFixed(1)} µs`;
const asMs = (value: number): string => `${value.toFixed(1)} ms`;
const asMb = (value: number): string => `${value.toFixed(1)} MB`;
const asRate = (value: number): string => `${Math.round(value).toLocaleString("en")}/s`;
const range = (values: readonly number[]): readonly [number, number] => [Math.min(...values), Math.max(...values)];

const root = fileURLToPath(new URL("../..", import.meta.url));
const figures = new Figures("components");

/** Microseconds of CPU that a call takes, of this whole process. */
async function costOf(run: Calls): Promise<number> {
  const before = process.cpuUsage();
  await run(calls.counted);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls.counted;
}

async function compareCalls(guests: Readonly<Record<"QuickJS" | "Rust", Uint8Array<ArrayBuffer>>>): Promise<void> {
  await using uniform = await openUniformApi();
  await using compiler = openCompiler();
  await using quickjs = await (await compileGuest(compiler, guests.QuickJS, uniform.api)).start();
  await using rust = await (await compileGuest(compiler, guests.Rust, uniform.api)).start();
  const ways: Readonly<Record<string, Calls>> = {
    QuickJS: throughEngine(quickjs),
    "QuickJS, jco alone": await throughJco(guests.QuickJS),
    Rust: throughEngine(rust),
    "Rust, jco alone": await throughJco(guests.Rust),
    JavaScript: withoutGuest(uniform.api),
  };
  const costs = new Map(Object.keys(ways).map((name) => [name, [] as number[]]));
  for (const run of Object.values(ways)) await run(calls.warmUp);
  for (let round = 0; round < calls.rounds; round++)
    for (const [name, run] of Object.entries(ways)) costs.get(name)?.push(await costOf(run));
  const best = (name: string): number => Math.min(...(costs.get(name) ?? []));
  for (const name of ["QuickJS", "Rust"]) {
    figures.add({
      what: `CPU of a warm call with two state calls, ${name}, best of ${calls.rounds} rounds`,
      measured: asMicroseconds(best(name)),
      against: `JavaScript in the sidecar ${asMicroseconds(best("JavaScript"))}`,
      value: best(name),
      spread: range(costs.get(name) ?? []),
      goal: goals.callMicroseconds,
      format: asMicroseconds,
    });
    figures.add({
      what: `the same against jco alone, without limits and with a Map for a store, ${name}`,
      measured: asMicroseconds(best(name)),
      against: `jco ${asMicroseconds(best(`${name}, jco alone`))}`,
      value: best(name) / best(`${name}, jco alone`),
    });
  }
}

async function timeStarts(component: Uint8Array<ArrayBuffer>): Promise<void> {
  await using uniform = await openUniformApi();
  await using compiler = openCompiler();
  const guest = await compileGuest(compiler, component, uniform.api);
  const times: number[] = [];
  for (let round = 0; round < starts; round++) {
    const startedAt = performance.now();
    const instance = await guest.start();
    times.push(performance.now() - startedAt);
    await instance[Symbol.asyncDispose]();
  }
  figures.add({
    what: `to start one more instance of a QuickJS component, median of ${starts}`,
    measured: asMs(quantile(times)),
    against: `best ${asMs(Math.min(...times))}`,
    value: quantile(times),
    goal: goals.startMs,
    format: asMs,
  });
}

/** A module of Proxy-Wasm with the answer of the others. */
async function proxyWasmHello(directory: string): Promise<string> {
  const text = guestText((place) => ({
    on: {
      proxy_on_request_headers: `${drop(
        `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) ${place("hello")} (i32.const 0) (i32.const 0) (i32.const -1))`,
      )} (i32.const 1)`,
    },
  }));
  const file = join(directory, "hello.wasm");
  writeFileSync(file, await assemble("hello", text));
  return file;
}

async function compareRequests(entry: string, directory: string, web: string): Promise<void> {
  await using servers = new AsyncDisposableStack();
  const component = servers.use(await startServiceSidecar({ entry, name: "web", file: web }));
  const file = await proxyWasmHello(directory);
  const proxyWasm = servers.use(await startServiceSidecar({ entry, name: "hello", file }));
  const plain = servers.use(
    await startPinned({
      core: cores.measured,
      command: process.execPath,
      parameters: [join(root, "test/bench/support/hello-server.ts")],
      ready: /^serves (\S+)$/,
    }),
  );
  const rates = { component: [] as number[], "Proxy-Wasm": [] as number[], "node:http": [] as number[] };
  const contender = (name: keyof typeof rates, address: string, cpuSeconds: () => number) => ({
    name,
    cpuSeconds,
    load: async (count: number) => {
      const { connections } = requests;
      const load = { url: `http://${address}/hello`, requests: count, connections, streams: 1, http1: true };
      rates[name].push((await drive(load)).requestsPerSecond);
    },
  });
  const costs = await compare(
    [
      contender("component", component.ingress, component.cpuSeconds),
      contender("Proxy-Wasm", proxyWasm.ingress, proxyWasm.cpuSeconds),
      contender("node:http", plain.announced[1] ?? "", plain.cpuSeconds),
    ],
    { requests: requests.counted, warmUp: requests.warmUp, rounds: requests.rounds },
  );
  const best = (name: keyof typeof rates): number => Math.max(...rates[name]);
  figures.add({
    what: `requests of wasi:http a second on one core, Rust, best of ${requests.rounds} rounds`,
    measured: asRate(best("component")),
    against: `Proxy-Wasm ${asRate(best("Proxy-Wasm"))}, node:http ${asRate(best("node:http"))}`,
    value: best("component"),
    spread: range(rates.component),
    least: goals.requestsPerSecond,
    format: asRate,
  });
  // Of a hundred thousand requests, so many seconds are ten times as many microseconds of one.
  const cost = (name: string): string => asMicroseconds(costs.of(name) * 10);
  for (const against of ["Proxy-Wasm", "node:http"])
    figures.add({
      what: `CPU of the sidecar for such a request, against ${against}`,
      measured: cost("component"),
      against: `${against} ${cost(against)}`,
      value: costs.ratio("component", against),
      spread: costs.spread("component", against),
    });
}

/** First deploys of what nothing is kept of, each into a sidecar of its own; `keep` is told where each keeps it now. */
async function firstDeploys(entry: string, component: Uint8Array, keep: (directory: string) => void): Promise<void> {
  const gaps: { readonly gap: number; readonly cpu: number; readonly quiet: number }[] = [];
  const residents: { readonly before: number; after(): number }[] = [];
  await using sidecars = new AsyncDisposableStack();
  for (let round = 0; round < freshDeploys; round++) {
    const sidecar = sidecars.use(await startServiceSidecar({ entry, name: "calls", core: "0,1" }));
    await setTimeout(2_000);
    const after = (): number => sidecar.residentBytes() / megabyte;
    residents.push({ before: after(), after });
    await sidecar.told();
    const took = await sidecar.deploy(component);
    const deploying = await sidecar.told();
    await setTimeout(took);
    const quiet = await sidecar.told();
    gaps.push({ gap: deploying.longestMs, cpu: deploying.longestCpuMs, quiet: quiet.longestMs });
    keep(keptIn(sidecar.directory));
  }
  await setTimeout(settledMs);
  const grown = residents.map(({ before, after }) => ({ before, after: after(), more: after() - before }));
  // On two cores the clock stands longer than the thread works: the process that takes components apart, the thread that compiles
  // them and the generator of the load want three.
  const work = Math.min(...gaps.map(({ cpu }) => cpu));
  figures.add({
    what: `longest work in one turn of the event loop during a first deploy, best of ${freshDeploys} sidecars`,
    measured: `${asMs(work)}; its clock stood for ${asMs(Math.min(...gaps.map(({ gap }) => gap)))}`,
    against: `the clock as long without a deploy ${asMs(Math.min(...gaps.map(({ quiet }) => quiet)))}`,
    value: work,
    spread: range(gaps.map((one) => one.cpu)),
    goal: goals.workMs,
    format: asMs,
  });
  const more = grown.map((one) => one.more);
  figures.add({
    what: `resident memory that a sidecar without plugins takes more, ${settledMs / 1000} s after its first deploy, median of ${freshDeploys}`,
    measured: asMb(quantile(grown.map(({ after }) => after))),
    against: `before ${asMb(quantile(grown.map(({ before }) => before)))}`,
    value: quantile(more),
    spread: range(more),
    goal: goals.residentMb,
    format: asMb,
  });
}

async function keptDeploys(entry: string, component: Uint8Array, kept: string): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < freshDeploys; round++) {
    await using sidecar = await startServiceSidecar({ entry, name: "calls", core: "0,1", kept });
    await setTimeout(500);
    times.push(await sidecar.deploy(component));
  }
  figures.add({
    what: `from upload to the first answer, transpiled by an earlier sidecar, best of ${freshDeploys} sidecars`,
    measured: asMs(Math.min(...times)),
    value: Math.min(...times),
    spread: range(times),
    goal: goals.deployMs,
    format: asMs,
  });
}

function reloadOften(guest: string): void {
  const program = join(root, "test/bench/support/component-reloads.ts");
  const parameters = ["--expose-gc", "--no-warnings", program, guest, reloads.join(",")];
  const told = execFileSync(process.execPath, parameters, { encoding: "utf8" });
  const [early, late] = told
    .trim()
    .split("\n")
    .map((line): Reloaded => JSON.parse(line));
  if (early === undefined || late === undefined) throw new Error("the reloads told nothing");
  for (const [what, key, goal] of [
    ["heap", "heapBytes", goals.heapRatio],
    ["resident memory", "residentBytes", undefined],
  ] as const)
    figures.add({
      what: `${what} after ${late.reloads} reloads, against that after ${early.reloads}`,
      measured: asMb(late[key] / megabyte),
      against: asMb(early[key] / megabyte),
      value: late[key] / early[key],
      ...(goal === undefined ? {} : { goal }),
    });
}

pinDriver();
const directory = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
try {
  execFileSync(process.execPath, [join(root, "scripts/build.ts"), directory], { cwd: root, stdio: "inherit" });
  const entry = join(directory, "runtime/main.js");
  const rust = await rustComponents();
  const fileOf = (name: string): string => rust.get(name) ?? "";
  const quickjs = await twoStateCalls();
  await compareCalls({ QuickJS: quickjs, Rust: new Uint8Array(readFileSync(fileOf("two_state_calls"))) });
  await timeStarts(quickjs);
  await compareRequests(entry, directory, fileOf("web"));
  const manifest = "name: calls\nversion: 1.0.0\nkind: service\ncapabilities: { state: [inventory] }\n";
  const packed = packManifest(Buffer.from(quickjs), manifest);
  const kept = join(directory, "kept");
  await firstDeploys(entry, packed, (from) => void cpSync(from, kept, { recursive: true }));
  await keptDeploys(entry, packed, kept);
  reloadOften(fileOf("two_state_calls"));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
figures.finish();

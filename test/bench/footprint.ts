/**
 * What does a sidecar cost that does nothing? Resident memory of the built package with the embedded components and no
 * plugin, the time from exec until it answers on the admin API and on gRPC, and what an open, idle HTTP/2 connection keeps.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { HealthCheckResponse } from "../../proto/gen/grpc/health/v1/health.ts";
import { freePort, type ServedSidecar, startBenchSidecar } from "./support/contenders.ts";
import { Figures } from "./support/figures.ts";
import { openProbe } from "./support/grpc-probe.ts";
import { cores, pinDriver, startPinned } from "./support/pinned-process.ts";
import { quantile } from "./support/rounds.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const goals = { residentMb: 80, readyMs: 300, connectionKb: 20 } as const;
const starts = 10;
const connections = 10_000;
const megabyte = 1024 ** 2;

const serving = 1;
const asMb = (value: number): string => `${value.toFixed(1)} MB`;
const asMs = (value: number): string => `${value.toFixed(0)} ms`;
const asKb = (value: number): string => `${value.toFixed(1)} KB`;
const range = (values: readonly number[]): readonly [number, number] => [Math.min(...values), Math.max(...values)];

pinDriver();
const built = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
const figures = new Figures("footprint");

/** The components of `npm start`, all of them embedded; no plugin, no route. */
async function configuration(): Promise<{ readonly grpc: string; readonly admin: string; readonly file: object }> {
  const { components } = parse(readFileSync(join(root, "outrigger.yaml"), "utf8"));
  const [grpc, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  return { grpc, admin, file: { plugins: {}, components, api: { grpc: [grpc] }, admin: { http: admin } } };
}

interface TimedStart extends AsyncDisposable {
  readonly sidecar: ServedSidecar;
  readonly readyMs: number;
  /** CPU time until then. */
  readonly cpuMs: number;
}

/** Starts the built sidecar and resolves once it has answered on both of its ports. */
async function start(): Promise<TimedStart> {
  const { grpc, admin, file } = await configuration();
  const begin = performance.now();
  const starting = startBenchSidecar({ configuration: { ...file }, entry: join(built, "runtime/main.js") });
  const ready = Promise.all([until(() => isReady(admin)), until(() => isServing(grpc))]);
  const sidecar = await starting;
  await ready;
  const readyMs = performance.now() - begin;
  const cpuMs = sidecar.cpuSeconds() * 1000;
  return { sidecar, readyMs, cpuMs, [Symbol.asyncDispose]: () => sidecar[Symbol.asyncDispose]() };
}

/** Asks again and again, for a minute at most. */
async function until(answers: () => Promise<boolean>): Promise<void> {
  const giveUp = performance.now() + 60_000;
  while (!(await answers().catch(() => false))) {
    if (performance.now() > giveUp) throw new Error("the built sidecar does not become ready in a minute");
    await setTimeout(1);
  }
}

function isReady(admin: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    http
      .get(`http://${admin}/actuator/health/readiness`, { agent: false }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode === 200));
      })
      .on("error", reject);
  });
}

async function isServing(grpc: string): Promise<boolean> {
  using probe = await openProbe({ address: grpc, path: "/grpc.health.v1.Health/Check", message: new Uint8Array() });
  return HealthCheckResponse.decode(await probe.call()).status === serving;
}

/** Resident memory once it has stopped to change, ten seconds at most. */
async function settled(sidecar: ServedSidecar): Promise<number> {
  let before = 0;
  for (let sample = 0; sample < 10; sample++) {
    await setTimeout(1000);
    const now = sidecar.residentBytes();
    if (sample > 1 && Math.abs(now - before) < megabyte / 8) return now;
    before = now;
  }
  return before;
}

async function idleAndReady(): Promise<void> {
  const ready: number[] = [];
  const cpu: number[] = [];
  const resident: number[] = [];
  for (let number = 0; number <= starts; number++) {
    await using started = await start();
    // The first start reads the files from the disk and fills a compile cache, where there is one.
    if (number === 0) console.log(`the first start after the build took ${asMs(started.readyMs)}`);
    else {
      ready.push(started.readyMs);
      cpu.push(started.cpuMs);
    }
    if (number % 4 === 1) resident.push((await settled(started.sidecar)) / megabyte);
  }
  const residentMb = quantile(resident);
  figures.add({
    what: "resident memory, idle, embedded components, no plugin",
    measured: asMb(residentMb),
    value: residentMb,
    spread: range(resident),
    goal: goals.residentMb,
    format: asMb,
  });
  const readyMs = quantile(ready);
  figures.add({
    what: `exec to ready, median of ${starts}`,
    measured: `${asMs(readyMs)}, ${asMs(quantile(cpu))} of CPU`,
    value: readyMs,
    spread: range(ready),
    goal: goals.readyMs,
    format: asMs,
  });
}

async function idleConnections(what: string): Promise<void> {
  await using started = await start();
  const { sidecar } = started;
  const before = await settled(sidecar);
  await using _ = await startPinned({
    core: cores.driver,
    command: process.execPath,
    parameters: [join(root, "test/bench/support/idle-connections.ts"), sidecar.address, String(connections)],
    ready: /^open \d+$/,
  });
  const after = await settled(sidecar);
  const sockets = readdirSync(`/proc/${sidecar.pid}/fd`).length;
  if (sockets < connections) throw new Error(`the sidecar holds ${sockets} descriptors where ${connections} were due`);
  const each = (after - before) / connections / 1024;
  figures.add({
    what,
    measured: asKb(each),
    against: `${asMb(before / megabyte)} before, ${asMb(after / megabyte)} with them`,
    value: each,
    goal: goals.connectionKb,
    format: asKb,
  });
}

// As `npm run build` does, but aside.
execFileSync(process.execPath, [join(root, "scripts/build.ts"), built], { cwd: root, stdio: "inherit" });
await idleAndReady();
const eachConnection = `memory of each of ${connections.toLocaleString("en")} open idle HTTP/2 connections`;
await idleConnections(eachConnection).catch((error: unknown) => figures.addFailed(eachConnection, error));
rmSync(built, { recursive: true });
figures.finish();

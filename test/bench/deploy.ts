/**
 * What does a deploy do to the traffic, how long does it take, and what does it leave behind? Modules of 1 MB, of which three
 * quarters are code, are deployed one after the other into the built sidecar while it is asked 2,000 times a second by a process
 * of its own: requests lost, latency at the switch, time until the first answer, and memory after 1,000 deploys.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type ServedSidecar, startBenchSidecar } from "./support/contenders.ts";
import { callAdmin, uploadModule } from "./support/deploy-calls.ts";
import { Figures } from "./support/figures.ts";
import { pinDriver } from "./support/pinned-process.ts";
import { quantile } from "./support/rounds.ts";
import { nowMs, type Samples, type SteadyLoad, startSteadyLoad } from "./support/steady-load.ts";
import { answerOf, versionedGuest } from "./support/versioned-guest.ts";

const goals = {
  addedP99Ms: 10,
  quietP99Ms: 10,
  servedMs: 150,
  rollbackMs: 10,
  residentRatio: 1.15,
  heapRatio: 1.25,
} as const;
const perSecond = 2_000;
/** The memory after the first so many deploys is what that at the end is held against. */
const warmUpDeploys = 50;
const isQuick = process.argv.includes("--quick");
const sizes = isQuick ? { deploys: 20, rollbacks: 5, all: 150 } : { deploys: 100, rollbacks: 20, all: 1_000 };
const quietMs = 250;
/** After the first answer of the new version, how long the requests count as those of the switch. */
const afterMs = 50;
const beforeMs = 5;
/** Switches whose requests are looked at together. */
const groupSize = isQuick ? 5 : 10;
const megabyte = 1024 ** 2;

const root = fileURLToPath(new URL("../..", import.meta.url));
const plugin = "orders";
const token = "bench";
const asMs = (value: number): string => `${value.toFixed(1)} ms`;
const asRatio = (value: number): string => `${value.toFixed(2)}×`;
const asCount = (value: number): string => value.toLocaleString("en");
const range = (values: readonly number[]): readonly [number, number] => [Math.min(...values), Math.max(...values)];

/** A stretch of time that has a switch in it. */
interface Switch {
  readonly fromMs: number;
  readonly servedAt: number;
}

const figures = new Figures("deploys");
const guest = await versionedGuest(plugin);
let number = 0;

/** Deploys a new version through the admin API; resolves when it serves. */
async function upload(sidecar: ServedSidecar, load: SteadyLoad): Promise<Switch & { readonly ms: number }> {
  const version = ++number;
  const fromMs = nowMs();
  const uploaded = uploadModule(sidecar.admin, token, guest.moduleOf(version));
  const [{ sentAt }, servedAt] = await Promise.all([uploaded, load.answered(answerOf(version), fromMs)]);
  return { fromMs, servedAt, ms: servedAt - sentAt };
}

/** Drops a new version into the directory, by renames; resolves when it serves. */
async function drop(
  { directory }: ServedSidecar,
  load: SteadyLoad,
  manifest: "inside" | "beside",
): Promise<Switch & { readonly ms: number }> {
  const version = ++number;
  const path = join(directory, "plugins", plugin);
  if (manifest === "beside") {
    writeFileSync(`${path}.new`, guest.manifestOf(version));
    renameSync(`${path}.new`, `${path}.yaml`);
  }
  writeFileSync(`${path}.new`, guest.moduleOf(version));
  const fromMs = nowMs();
  renameSync(`${path}.new`, `${path}.wasm`);
  const servedAt = await load.answered(answerOf(version), fromMs);
  return { fromMs, servedAt, ms: servedAt - fromMs };
}

/** Goes back to the version before; resolves when it serves. */
async function rollBack({ admin }: ServedSidecar, load: SteadyLoad): Promise<Switch & { readonly ms: number }> {
  const fromMs = nowMs();
  const done = callAdmin(admin, token, `/v1/plugins/${plugin}/rollback`);
  const [, servedAt] = await Promise.all([done, load.answered(answerOf(number - 1), fromMs)]);
  return { fromMs, servedAt, ms: servedAt - fromMs };
}

/** Deploys by both ways in turns, with a rollback after every fifth, each after a quiet time. */
async function switches(sidecar: ServedSidecar, load: SteadyLoad) {
  const found = {
    inside: [] as number[],
    beside: [] as number[],
    uploaded: [] as number[],
    rolledBack: [] as number[],
    all: [] as Switch[],
  };
  const each = sizes.deploys / sizes.rollbacks;
  for (let deploy = 0; deploy < sizes.deploys; deploy++) {
    await setTimeout(quietMs);
    const way = deploy % 2 === 1 ? "uploaded" : deploy < sizes.deploys / 2 ? "inside" : "beside";
    const one = await (way === "uploaded" ? upload(sidecar, load) : drop(sidecar, load, way));
    found[way].push(one.ms);
    found.all.push(one);
    if (deploy % each !== each - 1) continue;
    await setTimeout(quietMs);
    const back = await rollBack(sidecar, load);
    found.rolledBack.push(back.ms);
    found.all.push(back);
  }
  await setTimeout(quietMs);
  return found;
}

/** The 99th percentile of what is told of the requests that were due within those switches, and of all others between them. */
function p99s(
  due: Float64Array,
  told: Float64Array,
  some: readonly Switch[],
): { readonly during: number; readonly quiet: number } {
  const [during, quiet]: [number[], number[]] = [[], []];
  const begin = (some[0]?.fromMs ?? 0) - quietMs;
  const end = (some.at(-1)?.servedAt ?? 0) + afterMs;
  let at = 0;
  due.forEach((dueAt, index) => {
    if (dueAt < begin || dueAt > end) return;
    while (at < some.length - 1 && dueAt > (some[at]?.servedAt ?? 0) + afterMs) at++;
    const { fromMs, servedAt } = some[at] ?? { fromMs: 0, servedAt: 0 };
    // What is due shortly before a switch waits for it, too.
    const isDuring = dueAt >= fromMs - beforeMs && dueAt <= servedAt + afterMs;
    (isDuring ? during : quiet).push(told[index] ?? Number.POSITIVE_INFINITY);
  });
  return { during: quantile(during, 0.99), quiet: quantile(quiet, 0.99) };
}

/** In groups of switches that follow each other, so that what else the machine did for a while is one result of many. */
function tellOfP99({ due, took }: Samples, all: readonly Switch[]): void {
  const groups = Array.from({ length: Math.floor(all.length / groupSize) }, (_, index) =>
    p99s(due, took, all.slice(index * groupSize, (index + 1) * groupSize)),
  );
  const added = groups.map(({ during, quiet }) => during - quiet);
  const quiet = quantile(groups.map((group) => group.quiet));
  figures.add({
    what: `p99 added to requests during a deploy or rollback, median of ${groups.length} groups`,
    measured: asMs(quantile(groups.map(({ during }) => during))),
    against: `between them ${asMs(quiet)}`,
    value: quantile(added),
    spread: range(added),
    goal: goals.addedP99Ms,
    format: asMs,
  });
  // Beside a machine that makes requests wait anyway, a deploy adds little.
  figures.add({
    what: "p99 of requests between deploys; with more, what a deploy adds cannot be told",
    measured: asMs(quiet),
    value: quiet,
    goal: goals.quietP99Ms,
    format: asMs,
  });
}

/**
 * How late the generator came to requests, which they count as time of theirs: it shares the cores with the sidecar, and a deploy
 * takes some of both.
 */
function tellOfLateness({ due, seen }: Samples, all: readonly Switch[]): void {
  const late = seen.map((at, index) => at - (due[index] ?? 0));
  const { during, quiet } = p99s(due, late, all);
  figures.add({
    what: "p99 of what the generator itself came late during a deploy or rollback",
    measured: asMs(during),
    against: `between them ${asMs(quiet)}`,
    value: during,
    format: asMs,
  });
}

/** Follows what `--trace-gc` tells of the main thread's heap, which is the first that anything is told of. */
class HeapTrace {
  #isolate: string | undefined;
  /** What the last full collection left, in megabytes. */
  leftMb = Number.NaN;

  readonly hear = (line: string): void => {
    const [, isolate, what = "", left] =
      /^\[\d+:(0x[0-9a-f]+)\].*?ms: (.*?) [\d.]+ \([\d.]+\) -> ([\d.]+) /.exec(line) ?? [];
    if (isolate === undefined) return;
    this.#isolate ??= isolate;
    if (isolate === this.#isolate && what.includes("Mark-Compact")) this.leftMb = Number(left);
  };
}

/** The median over two seconds, once what was replaced has gone and traffic alone has gone on for a while. */
async function residentMb(sidecar: ServedSidecar): Promise<number> {
  await setTimeout(5_000);
  const samples: number[] = [];
  for (let sample = 0; sample < 20; sample++) {
    samples.push(sidecar.residentBytes() / megabyte);
    await setTimeout(100);
  }
  return quantile(samples);
}

function tellOfTimes(what: string, times: readonly number[], goal: number): void {
  const value = quantile(times);
  figures.add({
    what,
    measured: `${asMs(value)}, worst ${asMs(Math.max(...times))} of ${times.length}`,
    value,
    spread: range(times),
    goal,
    format: asMs,
  });
}

async function measure(entry: string): Promise<void> {
  const heap = new HeapTrace();
  await using sidecar = await startBenchSidecar({
    entry,
    core: "0,1",
    nodeOptions: ["--trace-gc"],
    onLogLine: heap.hear,
    configuration: {
      admin: { token },
      log: { level: "warn" },
      ingress: { routes: [{ match: { prefix: "/" }, to: { plugin } }] },
    },
    prepare: async (directory) => writeFileSync(join(directory, "plugins", `${plugin}.wasm`), guest.moduleOf(number)),
  });
  using load = await startSteadyLoad(sidecar.ingress, perSecond);
  while (number < warmUpDeploys) await upload(sidecar, load);
  const before = { residentMb: await residentMb(sidecar), heapMb: heap.leftMb };
  const found = await switches(sidecar, load);
  while (number < sizes.all) await upload(sidecar, load);
  const after = { residentMb: await residentMb(sidecar), heapMb: heap.leftMb };
  const { samples, failed } = await load.stop();
  for (const why of new Set(load.failures)) console.log(`failed: ${why}`);

  figures.add({
    what: `requests that failed, over ${asCount(number)} deploys and ${sizes.rollbacks} rollbacks`,
    measured: `${failed} of ${asCount(samples.due.length)}`,
    value: failed,
    goal: 0,
    format: asCount,
  });
  tellOfP99(samples, found.all);
  tellOfLateness(samples, found.all);
  const dropped = "from file in the directory to the first answer, median; manifest";
  tellOfTimes(`${dropped} inside`, found.inside, goals.servedMs);
  tellOfTimes(`${dropped} beside`, found.beside, goals.servedMs);
  tellOfTimes("from end of upload to the first answer, median", found.uploaded, goals.servedMs);
  tellOfTimes("from the request for a rollback to the first answer, median", found.rolledBack, goals.rollbackMs);
  for (const [what, key, goal] of [
    ["resident memory", "residentMb", goals.residentRatio],
    ["heap after the last full collection", "heapMb", goals.heapRatio],
  ] as const) {
    figures.add({
      what: `${what} after ${asCount(number)} deploys, against that after ${warmUpDeploys}`,
      measured: `${after[key].toFixed(1)} MB`,
      against: `${before[key].toFixed(1)} MB`,
      value: after[key] / before[key],
      goal,
      format: asRatio,
    });
  }
}

pinDriver();
const built = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
try {
  execFileSync(process.execPath, [join(root, "scripts/build.ts"), built], { cwd: root, stdio: "inherit" });
  await measure(join(built, "runtime/main.js"));
} finally {
  rmSync(built, { recursive: true, force: true });
}
figures.finish();

/**
 * What does metering cost? Runs compute-heavy guests as they were compiled and as the sandbox rewrote them, and times the
 * rewriting of a large module. Goals: slow-down at most 1.5 as a geometric mean and 2 at worst; 20 ms per MB to rewrite.
 */
import { rewrite } from "../../runtime/plugin/sandbox/rewrite.ts";
import { fuelGauge, type SandboxLimits } from "../../runtime/plugin/sandbox/sandboxed-module.ts";
import { compileGuests, guestImports, guestNames, interceptModules } from "./guests/compile.ts";

const goals = { mean: 1.5, worst: 2, msPerMb: 20 };
const limits: SandboxLimits = { memoryBytes: 1024 ** 3, tableEntries: 100_000, startFuel: 1e9 };
/** Runs of each guest each way; the first ones are for the compiler to notice what is hot. */
const rounds = { warmUp: 8, counted: 21 };
const fuel = 1e15;

/** Sizes at which a run takes some milliseconds. */
const sizes: Readonly<Record<string, number>> = {
  dispatch: 3_000_000,
  fib: 32,
  interpreter: 8_000_000,
  json: 4_000,
  mandelbrot: 400,
  maps: 200_000,
  matrix: 200,
  sha256: 30_000,
  sieve: 2_000_000,
  sort: 200_000,
  strings: 30_000,
  trees: 13,
  wordcount: 2_000_000,
};

type Run = () => unknown;

interface Row {
  readonly name: string;
  readonly plainMs: number;
  readonly meteredMs: number;
  /** Instructions that a millisecond of the plain guest stands for. */
  readonly fuelPerMs: number;
}

function runOf(instance: WebAssembly.Instance, name: string): Run {
  const exported = instance.exports[name];
  const size = sizes[name];
  if (typeof exported !== "function" || size === undefined) throw new Error(`there is no guest or no size for ${name}`);
  const call = exported as (size: number) => unknown;
  return () => call(size);
}

function timed(work: () => void): number {
  const startedAt = performance.now();
  work();
  return performance.now() - startedAt;
}

/** Plain and metered runs take turns and the best of each counts, so that whatever else the machine does matters little. */
function compare(name: string, plain: WebAssembly.Instance, metered: WebAssembly.Instance): Row {
  const gauge = fuelGauge(metered);
  const runs = { plain: runOf(plain, name), metered: runOf(metered, name) };
  const times: { plain: number[]; metered: number[] } = { plain: [], metered: [] };
  for (let round = -rounds.warmUp; round < rounds.counted; round++) {
    const results: unknown[] = [];
    const plainMs = timed(() => results.push(runs.plain()));
    gauge.set(fuel);
    const meteredMs = timed(() => results.push(runs.metered()));
    if (results[0] !== results[1]) throw new Error(`${name} computed ${results[1]} metered and ${results[0]} plain`);
    if (round < 0) continue;
    times.plain.push(plainMs);
    times.metered.push(meteredMs);
  }
  const plainMs = Math.min(...times.plain);
  return { name, plainMs, meteredMs: Math.min(...times.metered), fuelPerMs: (fuel - gauge.get()) / plainMs };
}

let large = new Uint8Array();
const guests = await interceptModules(compileGuests, (bytes) => {
  // The compiler of the guests is a WebAssembly module itself, of several megabytes.
  if (bytes.length > large.length) large = bytes;
  return bytes;
});
if (large.length < 1_000_000) throw new Error("the compiler of the guests carries no large module any more");

const plain = new WebAssembly.Instance(new WebAssembly.Module(guests), guestImports);
const metered = new WebAssembly.Instance(new WebAssembly.Module(rewrite(guests, limits).bytes), guestImports);
console.log("guest          plain ms  metered ms  ratio  million fuel per plain ms");
const ratios = guestNames.map((name) => {
  const { plainMs, meteredMs, fuelPerMs } = compare(name, plain, metered);
  const ratio = meteredMs / plainMs;
  const columns = [plainMs.toFixed(1).padStart(9), meteredMs.toFixed(1).padStart(11), ratio.toFixed(2).padStart(6)];
  console.log(`${name.padEnd(13)} ${columns.join(" ")} ${(fuelPerMs / 1e6).toFixed(1).padStart(26)}`);
  return ratio;
});

const megabytes = large.length / 1e6;
const [coldMs = Number.NaN, ...warmMs] = Array.from({ length: 8 }, () => timed(() => rewrite(large, limits).bytes));
const bestMs = Math.min(...warmMs);
const msPerMb = bestMs / megabytes;
console.log(`rewriting ${megabytes.toFixed(1)} MB: ${coldMs.toFixed(0)} ms at first, then ${bestMs.toFixed(0)} ms`);

const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
const worst = Math.max(...ratios);
const met = mean <= goals.mean && worst <= goals.worst && msPerMb <= goals.msPerMb;
console.log(
  `metering slows down ${mean.toFixed(2)}x as a geometric mean (goal ${goals.mean}) and ${worst.toFixed(2)}x at worst ` +
    `(goal ${goals.worst}); rewriting takes ${msPerMb.toFixed(1)} ms per MB (goal ${goals.msPerMb}): ${met ? "met" : "MISSED"}`,
);
process.exitCode = met ? 0 : 1;

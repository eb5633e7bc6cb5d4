/**
 * What does metering cost? Runs compute-heavy guests as they were compiled and as the sandbox rewrote them, and times the
 * rewriting of a large module. Goals: slow-down at most 1.5 as a geometric mean and 2 at worst; 20 ms per MB to rewrite.
 */
import { rewrite } from "../../runtime/plugin/sandbox/rewrite.ts";
import type { SandboxLimits } from "../../runtime/plugin/sandbox/sandboxed-module.ts";
import { compileGuests, guestImports, guestNames, interceptModules } from "./guests/compile.ts";

const limits: SandboxLimits = { memoryBytes: 1024 ** 3, tableEntries: 100_000, startFuel: 1e9 };
const rounds = 11;
const goals = { mean: 1.5, worst: 2, msPerMb: 20 };
/** How long one run should take, so that a timer's grain and a tick of the machine do not count. */
const runMs = 40;

const median = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0;

function timed(work: () => void): number {
  const startedAt = performance.now();
  work();
  return performance.now() - startedAt;
}

type Guest = Readonly<Record<string, (argument: number) => number>>;
const instantiate = (bytes: Uint8Array<ArrayBuffer>): Guest =>
  new WebAssembly.Instance(new WebAssembly.Module(bytes), guestImports).exports as unknown as Guest;

/** A size at which the guest runs for about `runMs`. */
function sizeFor(guest: (size: number) => number): number {
  for (let size = 4; ; ) {
    const ms = timed(() => guest(size));
    if (ms >= runMs) return size;
    size = Math.ceil(size * (ms < runMs / 8 ? 1.5 : 1.1)) + 1;
  }
}

/** Plain and metered runs take turns, so that whatever else the machine does meets both. */
function compare(plain: Guest, metered: Guest, name: string): { plainMs: number; meteredMs: number } {
  const [before, after, refill] = [plain[name], metered[name], metered["outrigger_fuel_set"]];
  if (before === undefined || after === undefined || refill === undefined) throw new Error(`no guest ${name}`);
  const size = sizeFor(before);
  const times: { plain: number[]; metered: number[] } = { plain: [], metered: [] };
  for (let round = 0; round < rounds; round++) {
    let expected = 0;
    let found = 0;
    times.plain.push(timed(() => (expected = before(size))));
    refill(1e15);
    times.metered.push(timed(() => (found = after(size))));
    if (expected !== found) throw new Error(`${name} computed ${found} metered and ${expected} plain`);
  }
  return { plainMs: median(times.plain), meteredMs: median(times.metered) };
}

/** The largest module that the binaryen package carries: several megabytes of real code. */
async function largeModule(): Promise<Uint8Array> {
  let largest = new Uint8Array();
  await interceptModules(
    // Anew: the compiler of the guests has loaded it before.
    () => import(`${import.meta.resolve("binaryen")}?anew`),
    (bytes) => {
      if (bytes.length > largest.length) largest = bytes;
      return bytes;
    },
  );
  if (largest.length < 1024 ** 2) throw new Error("binaryen carries no large module");
  return largest;
}

const bytes = await compileGuests();
const [plain, metered] = [instantiate(bytes), instantiate(rewrite(bytes, limits))];
console.log("guest          plain ms  metered ms  ratio");
const ratios = guestNames.map((name) => {
  const { plainMs, meteredMs } = compare(plain, metered, name);
  // Now and then the optimiser does better by the metered code; that must not pay for the others.
  const ratio = Math.max(1, meteredMs / plainMs);
  console.log(
    `${name.padEnd(14)} ${plainMs.toFixed(1).padStart(8)} ${meteredMs.toFixed(1).padStart(11)} ${ratio.toFixed(2).padStart(6)}`,
  );
  return ratio;
});
const large = await largeModule();
const msPerMb =
  median(Array.from({ length: 7 }, () => timed(() => rewrite(large, limits)))) / (large.length / 1024 ** 2);
const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
const worst = Math.max(...ratios);
const isMet = mean <= goals.mean && worst <= goals.worst && msPerMb <= goals.msPerMb;
console.log(
  `metering: ${mean.toFixed(2)}x mean (goal ${goals.mean}), ${worst.toFixed(2)}x worst (goal ${goals.worst}); ` +
    `rewriting ${(large.length / 1024 ** 2).toFixed(1)} MB: ${msPerMb.toFixed(1)} ms per MB (goal ${goals.msPerMb}); ${isMet ? "met" : "MISSED"}`,
);
process.exitCode = isMet ? 0 : 1;

/**
 * `npm run bench`: every benchmark of test/bench, one after the other, and docs/reference/benchmarks.md from what they found;
 * exits 1 when a goal is missed. With names (`npm run bench grpc proxy`) only those run, and the page stays as it is.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FigureRecord, recordVariable } from "../test/bench/support/figures.ts";
import { benchmarksPage } from "./benchmarks-page.ts";

export interface Outcome {
  /** `grpc`, for test/bench/grpc.ts. */
  readonly name: string;
  readonly isMet: boolean;
  /** Its table, where it keeps one. */
  readonly record: FigureRecord | undefined;
  /** The last line that it wrote. */
  readonly summary: string;
}

/** Those of the network first, in the order in which the page tells of them. */
const first = ["grpc", "proxy", "http1", "components", "footprint", "deploy", "wasm-component"];
const page = "docs/reference/benchmarks.md";

function benchmarks(): string[] {
  const rank = (name: string): number => (first.includes(name) ? first.indexOf(name) : first.length);
  return readdirSync("test/bench")
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

function run(name: string, recordFile: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`test/bench/${name}.ts`], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, [recordVariable]: recordFile },
    });
    let written = "";
    child.stdout.on("data", (chunk: Buffer) => {
      process.stdout.write(chunk);
      written += chunk;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      const summary = written.trimEnd().split("\n").at(-1) ?? "";
      resolve({ name, isMet: code === 0, record: readRecord(recordFile), summary });
    });
  });
}

function readRecord(file: string): FigureRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

const asked = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
const outcomes: Outcome[] = [];
try {
  for (const name of benchmarks()) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    console.log(`\n# ${name}`);
    outcomes.push(await run(name, join(directory, `${name}.json`)));
  }
} finally {
  rmSync(directory, { recursive: true });
}

const text = benchmarksPage(outcomes);
console.log(`\n${text}`);
if (asked.length === 0) writeFileSync(page, text);
const missed = outcomes.filter(({ isMet }) => !isMet).map(({ name }) => name);
console.log(missed.length === 0 ? "every goal was met" : `missed: ${missed.join(", ")}`);
process.exitCode = missed.length === 0 ? 0 : 1;

/**
 * `npm test [-- FILE ...]`: the check and every test, or the given test files only, and then the conformance matrix as far as
 * it ran. `npm run test:full` runs test/full too: what takes long, or needs programs that are not everywhere.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { glob } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { outcomesVariable } from "../test/conformance/matrix.ts";
import { recordingVariable } from "../test/conformance/proxy-wasm/coverage.ts";
import { leftLines, printed, tablesOf } from "../test/conformance/tables.ts";
import { check } from "./check.ts";
import { type MissingServer, setupServers } from "./setup-servers.ts";
import { endDescendants, TestProcesses } from "./test-processes.ts";

const patterns = ["{proto,runtime,components,sdk,scripts,test}/**/*.test.ts", "wasm-plugins/kit/**/*.test.ts"];
const isCi = process.env.CI === "true";
/** Most wait for a part of their time, for servers and for deadlines. */
const filesAtOnce = Math.min(2 * availableParallelism(), 8);

async function testFiles(excluded: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob(patterns, { exclude: ["**/node_modules/**", ...excluded] })) files.push(file);
  return files.sort();
}

/** Why the file cannot run; the files of the matrix skip their lines by themselves. */
function whySkipped(file: string, missing: readonly MissingServer[]): string | undefined {
  if (missing.length === 0 || file.startsWith("test/conformance/")) return undefined;
  const text = readFileSync(file, "utf8");
  const needed = missing.find(({ support }) => text.includes(`/${support}"`));
  return needed && `${needed.name} is missing; ${needed.remedy}`;
}

/** Long ones first, and those that start servers, which wait most of their time, evenly among those that compute. */
function inOrder(files: readonly string[]): string[] {
  const byLength = files.toSorted((one, other) => rankOf(one) - rankOf(other));
  const waiting = byLength.filter((file) => /-server\.ts"/.test(readFileSync(file, "utf8")));
  const computing = byLength.filter((file) => !waiting.includes(file));
  const place = (list: readonly string[], index: number): number => index / list.length;
  return [waiting, computing]
    .flatMap((list) => list.map((file, index) => ({ file, place: place(list, index) })))
    .sort((one, other) => one.place - other.place)
    .map(({ file }) => file);
}

/** Where what takes long lies, longest first. */
const longest = ["test/conformance/kafka", "test/conformance/", "test/full/", "test/e2e/", "components/", "test/"];

function rankOf(file: string): number {
  const rank = longest.findIndex((beginning) => file.startsWith(beginning));
  return rank < 0 ? longest.length : rank;
}

/** What sidecars load is compiled before the first of them, once for all: those that are killed keep nothing. */
function compileSidecar(): void {
  const parts = ["runtime", "plugin-host", "proxy-wasm-toolchain", "component-toolchain"];
  const imports = parts.map((part) => `import "./runtime/${part}.ts";`).join("");
  spawnSync(process.execPath, ["--input-type=module", "--eval", imports], { stdio: "inherit" });
}

async function runTests(files: readonly string[]): Promise<boolean> {
  // Without a file, Node would look for some itself.
  if (files.length === 0) return true;
  compileSidecar();
  using processes = new TestProcesses(folder);
  const { execArgv } = processes;
  const tests = run({ files: inOrder(files), concurrency: filesAtOnce, timeout: 120_000, execArgv });
  processes.follow(tests);
  let passed = false;
  tests.on("test:summary", ({ file, success }) => {
    if (file === undefined) passed = success;
  });
  const report = tests.pipe(new spec());
  report.pipe(process.stdout, { end: false });
  await finished(report);
  return passed;
}

function printMatrix(folder: string): void {
  const tables = tablesOf(leftLines(folder));
  if (tables.length === 0) return;
  console.log("\nConformance: ok, - (not claimed), no server (none to kill), FAILED, skipped, not run\n");
  console.log(tables.map(printed).join("\n\n"));
}

const isFull = process.argv[2] === "--full";
const given = process.argv.slice(isFull ? 3 : 2);
const absent = given.find((file) => !existsSync(file));
if (absent !== undefined) {
  process.stderr.write(`there is no file '${absent}'; what follows '--' are paths of test files\n`);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "outrigger-tests-"));
const outcomes = join(folder, "outcomes");
mkdirSync(outcomes);
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143 }))
  process.once(signal, () => {
    endDescendants(process.pid);
    process.exit(code);
  });
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
process.env[outcomesVariable] = outcomes;
// Test files, and the sidecars that they start, load much the same code.
process.env.NODE_COMPILE_CACHE = join(folder, "compiled");
// What the check records of the suite of Proxy-Wasm is what a test asks for.
process.env[recordingVariable] = join(folder, "proxy-wasm.json");
const [checked, missing] = await Promise.all([given.length > 0 || check(), setupServers()]);
const files = given.length > 0 ? given : await testFiles(isFull ? [] : ["test/full/**"]);
const skipped = files.flatMap((file) => {
  const why = whySkipped(file, missing);
  return why === undefined ? [] : [`SKIPPED ${file}: ${why}`];
});
for (const line of skipped) process.stderr.write(`${line}\n`);
const tested = await runTests(files.filter((file) => whySkipped(file, missing) === undefined));
printMatrix(outcomes);
if (missing.length > 0) {
  const names = missing.map(({ name }) => name).join(", ");
  process.stderr.write(`\nNOT TESTED for want of servers: ${names}; ${skipped.length} test files were skipped\n`);
}
process.exitCode = checked && tested && !(isCi && missing.length > 0) ? 0 : 1;

/**
 * `npm test [-- FILE ...]`: the check and every test, or the given test files only, and then the conformance matrix as far as
 * it ran. `npm run test:full` runs test/full too: what takes long, or needs programs that are not everywhere.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { glob } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outcomesVariable } from "../test/conformance/matrix.ts";
import { leftLines, printed, tablesOf } from "../test/conformance/tables.ts";
import { check } from "./check.ts";
import { type MissingServer, setupServers } from "./setup-servers.ts";

const patterns = ["{proto,runtime,components,sdk,scripts,test}/**/*.test.ts", "wasm-plugins/kit/**/*.test.ts"];
const isCi = process.env.CI === "true";

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

async function runTests(files: readonly string[], folder: string): Promise<number> {
  // Without a file, Node would look for some itself.
  if (files.length === 0) return 0;
  const parameters = ["--test", "--test-reporter=spec", "--test-timeout=120000", "--test-concurrency=2", ...files];
  const env = { ...process.env, [outcomesVariable]: folder };
  const child = spawn(process.execPath, parameters, { stdio: ["ignore", "inherit", "inherit"], env });
  return new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}

function printMatrix(folder: string): void {
  const tables = tablesOf(leftLines(folder));
  if (tables.length === 0) return;
  console.log("\nConformance: ok, - (not claimed), no server (none to kill), FAILED, skipped, not run\n");
  console.log(tables.map(printed).join("\n\n"));
}

const isFull = process.argv[2] === "--full";
const given = process.argv.slice(isFull ? 3 : 2);
const checked = given.length > 0 || (await check());
const missing = await setupServers();
const files = given.length > 0 ? given : await testFiles(isFull ? [] : ["test/full/**"]);
const skipped = files.flatMap((file) => {
  const why = whySkipped(file, missing);
  return why === undefined ? [] : [`SKIPPED ${file}: ${why}`];
});
for (const line of skipped) process.stderr.write(`${line}\n`);
const folder = mkdtempSync(join(tmpdir(), "outrigger-outcomes-"));
const tested = await runTests(
  files.filter((file) => whySkipped(file, missing) === undefined),
  folder,
);
printMatrix(folder);
rmSync(folder, { recursive: true, force: true });
if (missing.length > 0) {
  const names = missing.map(({ name }) => name).join(", ");
  process.stderr.write(`\nNOT TESTED for want of servers: ${names}; ${skipped.length} test files were skipped\n`);
}
process.exitCode = checked && !(isCi && missing.length > 0) ? tested : 1;

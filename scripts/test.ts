/**
 * `npm test [-- FILE ...]`: the check and every test, or the given test files only. `npm run test:full` runs test/full too:
 * what takes long, or needs programs that are not everywhere.
 */
import { spawn } from "node:child_process";
import { glob } from "node:fs/promises";
import { check } from "./check.ts";

const patterns = ["{proto,runtime,components,sdk,scripts,test}/**/*.test.ts"];

async function testFiles(excluded: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob(patterns, { exclude: ["**/node_modules/**", ...excluded] })) files.push(file);
  return files.sort();
}

function runTests(files: readonly string[]): Promise<number> {
  const parameters = ["--test", "--test-reporter=spec", "--test-timeout=120000", "--test-concurrency=2", ...files];
  const child = spawn(process.execPath, parameters, { stdio: ["ignore", "inherit", "inherit"] });
  return new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}

const isFull = process.argv[2] === "--full";
const given = process.argv.slice(isFull ? 3 : 2);
const checked = given.length > 0 || (await check());
const tested = await runTests(given.length > 0 ? given : await testFiles(isFull ? [] : ["test/full/**"]));
process.exitCode = checked ? tested : 1;

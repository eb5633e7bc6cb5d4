/** `npm run check`: format and lint, floating promises, types, unused exports, generated files, side by side; one line each. */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generated } from "./gen.ts";

interface Outcome {
  readonly passed: boolean;
  readonly output: string;
}

interface Step {
  readonly name: string;
  run(): Promise<Outcome> | Outcome;
}

/** What the type checker is needed for; the rule and its exceptions stand in .oxlintrc.json. */
const promiseRules = ["--type-aware"];
const floatingFixture = "test/check-fixtures";

const steps: readonly Step[] = [
  { name: "format and lint", run: () => command("biome", "ci", "--error-on-warnings", "--colors=off", ".") },
  {
    name: "floating promises",
    run: () =>
      command(
        "oxlint",
        ...promiseRules,
        "runtime",
        "components",
        "sdk",
        "scripts",
        "test",
        "wasm-plugins/kit",
        "--ignore-pattern",
        floatingFixture,
      ),
  },
  { name: "a floating promise is an error", run: floatingPromiseFails },
  { name: "types", run: () => command("tsc", "--project", ".") },
  { name: "unused exports", run: () => command("knip") },
  { name: "generated files are current", run: generatedFilesAreCurrent },
];

function command(program: string, ...parameters: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, parameters, { maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) =>
      resolve({ passed: error === null, output: stdout + stderr }),
    );
  });
}

/** The fixture holds one of each way to leave a promise alone; every one must be found. */
async function floatingPromiseFails(): Promise<Outcome> {
  const fixture = join(floatingFixture, "floating-promise.ts");
  const { passed, output } = await command("oxlint", ...promiseRules, "--format", "unix", fixture);
  const expected = readFileSync(fixture, "utf8")
    .split("\n")
    .filter((line) => /^ {2}\S/.test(line)).length;
  const found = output.match(/no-floating-promises/g)?.length ?? 0;
  return {
    passed: !passed && found === expected,
    output: `expected ${expected} findings in ${fixture}, found ${found}\n${output}`,
  };
}

async function generatedFilesAreCurrent(): Promise<Outcome> {
  const root = mkdtempSync(join(tmpdir(), "outrigger-gen-"));
  try {
    cpSync("proto", join(root, "proto"), { recursive: true, filter: (path) => !path.includes("gen") });
    const made = await command(process.execPath, "scripts/gen.ts", root);
    if (!made.passed) return made;
    const differing = generated.flatMap((path) => differences(path, root));
    return { passed: differing.length === 0, output: `run 'npm run gen'; not current: ${differing.join(", ")}` };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function differences(path: string, root: string): string[] {
  const files = new Set([
    ...filesBelow(path),
    ...filesBelow(join(root, path)).map((file) => file.slice(root.length + 1)),
  ]);
  const read = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, "utf8") : undefined);
  return [...files].filter((file) => read(file) !== read(join(root, file)));
}

function filesBelow(path: string): string[] {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Runs every step and resolves to whether all passed. */
export async function check(): Promise<boolean> {
  const outcomes = await Promise.all(
    steps.map(async ({ name, run }) => {
      const outcome = await Promise.try(run).catch((error: unknown) => ({ passed: false, output: String(error) }));
      console.log(`${outcome.passed ? "ok  " : "FAIL"} ${name}`);
      return { name, ...outcome };
    }),
  );
  for (const { name, passed, output } of outcomes)
    if (!passed) process.stderr.write(`\n--- ${name}\n${output.trim()}\n`);
  return outcomes.every(({ passed }) => passed);
}

if (import.meta.main) process.exitCode = (await check()) ? 0 : 1;

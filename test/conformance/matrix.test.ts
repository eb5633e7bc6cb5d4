import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { catalog } from "../../components/catalog.ts";
import { type NotedLine, outcomesVariable } from "./matrix.ts";
import { leftLines, printed, recordedLines, tablesOf } from "./tables.ts";

const lines = recordedLines();

test("every backend of the catalog has its line in the matrix", () => {
  const missing = Object.entries(catalog).flatMap(([kind, types]) =>
    Object.keys(types)
      .filter((type) => !lines.some((line) => line.kind === kind && line.type === type))
      .map((type) => `${kind}: ${type}`),
  );
  assert.deepEqual(missing, []);
});

test("no two lines of the matrix have one name", () => {
  const names = lines.map(({ kind, type, variant = "" }) => `${kind} ${type} ${variant}`);
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

test("all lines of a kind have the same checks", () => {
  for (const kind of Object.keys(catalog)) {
    const [first, ...others] = lines.filter((line) => line.kind === kind);
    for (const line of others) {
      assert.deepEqual(Object.keys(line.outcomes), Object.keys(first?.outcomes ?? {}), `${kind}: ${line.type}`);
    }
  }
});

test("lines on a server that cannot be had are skipped loudly, and fail in CI", () => {
  const { status, output, lines: left } = run("missing-server.ts", { CI: "" });
  assert.equal(status, 0, output);
  assert.match(output, /SKIPPED for want of no-such-server: state: memory/);
  assert.deepEqual(new Set(Object.values(left[0]?.outcomes ?? {})), new Set(["skipped", "-"]));
  assert.notEqual(run("missing-server.ts", { CI: "true" }).status, 0);
});

test("a claim that does not hold is red, in the run and in the table", () => {
  const { status, output, lines: left } = run("broken-claims.ts", {});
  assert.notEqual(status, 0, output);
  const outcomes = left[0]?.outcomes ?? {};
  assert.equal(outcomes["has leases that outlast its being closed and opened again"], "FAILED");
  assert.equal(outcomes["gives a free lock, and then to nobody else"], "ok");
  assert.equal(outcomes["holds for all that are open with the same settings"], "-");
  const table = tablesOf(left).map(printed).join("\n");
  assert.match(table, /^LOCK +memory$/m);
  assert.match(table, /^has leases that outlast its being closed and opened again +FAILED$/m);
});

interface Run {
  readonly status: number | null;
  readonly output: string;
  readonly lines: readonly NotedLine[];
}

/** Runs a file of lines in a process of its own, as the test runner would. */
function run(fixture: string, environment: Readonly<Record<string, string>>): Run {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-outcomes-"));
  try {
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
    const env = { ...inherited, ...environment, [outcomesVariable]: folder };
    const file = join(import.meta.dirname, "fixtures", fixture);
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { env, encoding: "utf8" });
    return { status, output: stdout + stderr, lines: leftLines(folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { catalog } from "../../components/catalog.ts";
import { recordedLines } from "./tables.ts";

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

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSecrets } from "./secret-texts.ts";

const flat = (source: string, separator = ":") =>
  Object.fromEntries(parseSecrets(source, { separator, isMultiValued: false }));
const several = (source: string) => Object.fromEntries(parseSecrets(source, { separator: ":", isMultiValued: true }));

test("the keys of nested mappings make the names of secrets", () => {
  const source = '{"redis": "a", "sql": {"main": "b", "replicas": ["c", "d"]}}';
  assert.deepEqual(flat(source), {
    redis: { redis: "a" },
    "sql:main": { "sql:main": "b" },
    "sql:replicas:0": { "sql:replicas:0": "c" },
    "sql:replicas:1": { "sql:replicas:1": "d" },
  });
  assert.deepEqual(Object.keys(flat(source, ".")), ["redis", "sql.main", "sql.replicas.0", "sql.replicas.1"]);
});

test("with several values a mapping at the top is one secret", () => {
  assert.deepEqual(several("redis: a\nsql: { user: b, login: { password: c } }"), {
    redis: { redis: "a" },
    sql: { user: "b", "login:password": "c" },
  });
});

test("values are the text that stands in the file", () => {
  const source = "version: 1.10\nyes: yes\nnothing:\noctal: 0777\n__proto__: x\nlong: |\n  two\n  lines\n";
  assert.deepEqual(
    Object.entries(flat(source)).map(([name, secret]) => secret[name]),
    ["1.10", "yes", "", "0777", "x", "two\nlines\n"],
  );
  assert.deepEqual(flat(""), {});
});

test("what is wrong with a file is told without what stands there", () => {
  const wrong: readonly (readonly [source: string, why: RegExp])[] = [
    [
      "a: b\nc: *hunter2",
      /^it has aliases that lead nowhere, or to too much$|^line 2 is not valid YAML \(BAD_ALIAS\)$/,
    ],
    ["a: b\nc: 'hunter2", /^line 2 is not valid YAML \(MISSING_CHAR\)$/],
    ["a: hunter2\na: other", /^line 2 is not valid YAML \(DUPLICATE_KEY\)$/],
    ["- hunter2", /^expected a mapping of names to secrets$/],
    ["hunter2", /^expected a mapping of names to secrets$/],
    ["? { hunter2: b }\n: c", /^a key is a mapping or a list/],
    ["'': hunter2", /^a key is empty/],
    ["a:b: hunter2\na: { b: hunter2 }", /^'a:b' is there twice$/],
    ["a: &x { b: *x }", /^mappings are nested deeper than 32 levels$/],
  ];
  for (const [source, message] of wrong) {
    assert.throws(
      () => flat(source),
      (error) => {
        assert.ok(error instanceof Error);
        assert.match(error.message, message);
        assert.ok(!`${error.stack}`.includes("hunter2"), source);
        return true;
      },
    );
  }
});

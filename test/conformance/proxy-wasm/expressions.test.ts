import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PropertyValue } from "../../../runtime/plugin/contract.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { drop, out, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import { type StartOptions, startText, TestStream } from "../../support/proxy-wasm-host.ts";

const create = (text: PlaceText, expression: string): string =>
  say(`(call $proxy_call_foreign_function ${text("expr_create")} ${text(bytesOf(expression))} ${out})`);
const bytesOf = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
const withToken = (text: PlaceText, name: string): string =>
  say(
    `(call $proxy_call_foreign_function ${text(name)} (i32.load (i32.const 0)) (i32.const 4) (i32.const 16) (i32.const 20))`,
  );
/** Keeps the value in a property, whose bytes the test can read. */
const keep = (name: string): string =>
  drop(`(call $proxy_set_property ${name} (i32.load (i32.const 16)) (i32.load (i32.const 20)))`);

async function run(
  build: (text: PlaceText) => readonly string[],
  properties: Readonly<Record<string, PropertyValue>> = {},
  options: StartOptions = {},
) {
  await using guest = await startText(
    (text) => ({ on: { proxy_on_request_headers: `${build(text).join("\n")} (i32.const 0)` } }),
    { fuelPerCall: 100_000_000, ...options },
  );
  const stream = new TestStream();
  for (const [name, value] of Object.entries(properties)) stream.properties.set(name, value);
  guest.instance.open(stream).requestHeaders(true);
  return { lines: guest.services.lines, lost: guest.lost, stream };
}

/** The bytes that each expression gives, or the status of its evaluation. */
async function valuesOf(expressions: readonly string[], properties: Readonly<Record<string, PropertyValue>> = {}) {
  const { lines, lost, stream } = await run(
    (text) =>
      expressions.flatMap((one, at) => [create(text, one), withToken(text, "expr_evaluate"), keep(text(`kept${at}`))]),
    properties,
  );
  assert.deepEqual(lost, []);
  return expressions.map((_one, at) => {
    assert.equal(lines[at * 2], "0");
    const value = stream.properties.get(`kept${at}`);
    return lines[at * 2 + 1] === "0" && value instanceof Uint8Array
      ? Buffer.from(value).toString("latin1")
      : lines[at * 2 + 1];
  });
}

function eight(value: bigint | number): string {
  const bytes = Buffer.alloc(8);
  if (typeof value === "number") bytes.writeDoubleLE(value);
  else bytes.writeBigInt64LE(value);
  return bytes.toString("latin1");
}

describe("expressions", () => {
  it("serialize values of every kind", async () => {
    const values = await valuesOf([
      "'text é'",
      "b'\\x01'",
      "-7",
      "7u",
      "0.5",
      "1 < 2",
      "null",
      "['a', 'b']",
      "{'a': 'b'}",
      "timestamp('1970-01-01T00:00:01.5Z')",
      "duration('2s')",
      "type(1)",
    ]);
    assert.deepEqual(values, [
      Buffer.from("text é").toString("latin1"),
      "\x01",
      eight(-7n),
      eight(7n),
      eight(0.5),
      "\x01",
      "",
      Buffer.from(
        encodePairs([
          ["a", ""],
          ["b", ""],
        ]),
      ).toString("latin1"),
      Buffer.from(encodePairs([["a", "b"]])).toString("latin1"),
      eight(1_500_000_000n),
      eight(2_000_000_000n),
      "3",
    ]);
  });

  it("read the properties of the stream, of the plugin and of the process", async () => {
    const values = await valuesOf(
      [
        "request.path.startsWith('/a') && request.headers['x-tenant'] == 'blue'",
        "request.method + ' ' + request.headers.host",
        "response.code >= 500",
        "request.duration > duration('1s')",
        "request.time < timestamp('2030-01-01T00:00:00Z')",
        "has(request.referer) || has(request.path)",
        "request.headers.exists(name, name.startsWith('x-'))",
        "request.path.matches('^/a+$')",
        "plugin_name",
        "filter_state['wasm.tenant'] == b'red'",
        "source.port + 1",
      ],
      {
        "request.path": "/aaa",
        "request.method": "GET",
        "request.headers": [
          ["host", "here"],
          ["x-tenant", "blue"],
          ["x-tenant", "green"],
        ],
        "response.code": 503n,
        "request.duration": 1_500_000_000n,
        "request.time": 1_700_000_000_000_000_000n,
        tenant: Buffer.from("red"),
        "source.port": 80n,
      },
    );
    const yes = "\x01";
    assert.deepEqual(values, [yes, "GET here", yes, yes, yes, yes, yes, yes, "guest", yes, eight(81n)]);
  });

  it("answer INTERNAL_FAILURE when they fail, and for properties that are not there", async () => {
    assert.deepEqual(await valuesOf(["1 / 0", "request.path", "no_such", "1 + 'a'", "'a'.matches('(')"]), [
      "10",
      "10",
      "10",
      "10",
      "10",
    ]);
  });

  it("are refused with BAD_ARGUMENT when they are none, or too large", async () => {
    const { lines, lost } = await run((text) =>
      [
        "1 +",
        "",
        `${"(".repeat(65)}1${")".repeat(65)}`,
        `${"a || ".repeat(300)}b`,
        `'${"x".repeat(2100)}'`,
        "[1, 2].all(a, [1, 2].all(b, a == b))",
        "!".repeat(2000),
      ].map((expression) => create(text, expression)),
    );
    assert.deepEqual([lines, lost], [["2", "2", "2", "2", "2", "2", "2"], []]);
  });

  it("are known by their token until they are deleted", async () => {
    const { lines } = await run((text) => [
      create(text, "1 == 1"),
      withToken(text, "expr_evaluate"),
      withToken(text, "expr_delete"),
      withToken(text, "expr_evaluate"),
      withToken(text, "expr_delete"),
      say(`(call $proxy_call_foreign_function ${text("expr_evaluate")} ${text("abc")} ${out})`),
      say(`(call $proxy_call_foreign_function ${text("expr_delete")} ${text("")} ${out})`),
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "1", "0", "2", "2"]);
  });

  it("are at most 256", async () => {
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_vm_start: `(local $n i32) (local $status i32)
            (loop $more
              (local.set $status (call $proxy_call_foreign_function ${text("expr_create")} ${text("1")} ${out}))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br_if $more (i32.eqz (local.get $status))))
            ${say("(local.get $n)")} ${say("(local.get $status)")} (i32.const 1)`,
        },
      }),
      { fuelPerCall: 10_000_000 },
    );
    assert.deepEqual(guest.services.lines, ["257", "10"]);
  });

  it("cost a guest its fuel by what they read", async () => {
    const { lines, lost } = await run(
      (text) => [create(text, "request.path.matches('(a+)+b')"), withToken(text, "expr_evaluate")],
      { "request.path": "a".repeat(100_000) },
      { fuelPerCall: 5_000_000 },
    );
    assert.deepEqual(lines, ["0"]);
    assert.equal(lost[0]?.fault, "fuel");
  });

  it("cost a guest its fuel by what their loops do", async () => {
    const expression = `request.headers.exists(name, '${"x".repeat(1000)}'.matches('(x+)+y'))`;
    const fields = Array.from({ length: 1000 }, (_, at) => [`x-${at}`, ""] as const);
    const { lines, lost } = await run(
      (text) => [create(text, expression), withToken(text, "expr_evaluate")],
      { "request.headers": fields },
      { fuelPerCall: 50_000_000 },
    );
    assert.deepEqual(lines, ["0"]);
    assert.equal(lost[0]?.fault, "fuel");
  });

  it("compile a regular expression once, and pay for that", async () => {
    const expression = `request.path.matches('^x{500}$')`;
    const matching = (times: number) => (text: PlaceText) => [
      create(text, expression),
      ...Array.from({ length: times }, () => withToken(text, "expr_evaluate")),
    ];
    const properties = { "request.path": "x" };
    const often = await run(matching(10), properties, { fuelPerCall: 6_000_000 });
    assert.deepEqual([often.lines, often.lost], [Array.from({ length: 11 }, () => "0"), []]);
    const once = await run(matching(1), properties, { fuelPerCall: 2_500_000 });
    assert.deepEqual([once.lines, once.lost[0]?.fault], [["0"], "fuel"]);
  });

  it("pay for all that a regular expression and a text of a client come to", async () => {
    const { lines, lost } = await run(
      (text) => [create(text, "request.path.matches(request.headers['p'])"), withToken(text, "expr_evaluate")],
      {
        "request.path": Array.from({ length: 3000 }, (_, at) =>
          (Math.imul(at, 2_654_435_761) >>> 16) % 3 === 0 ? "a" : "b",
        ).join(""),
        "request.headers": [["p", "[ab]*a[ab]{300}[a-c]$|[ab]*b[ab]{99}c"]],
      },
    );
    assert.deepEqual([lines, lost[0]?.fault], [["0"], "fuel"]);
  });

  it("answer INTERNAL_FAILURE to a regular expression that is too long or too large, at no great cost", async () => {
    const patterns = ["x{1000}".repeat(20), "((x{10}){10}){10}".repeat(10), "x".repeat(1025)];
    const { lines, lost } = await run(
      (text) =>
        patterns.flatMap((_one, at) => [
          create(text, `request.path.matches(request.headers['p${at}'])`),
          withToken(text, "expr_evaluate"),
        ]),
      { "request.path": "/", "request.headers": patterns.map((one, at) => [`p${at}`, one] as const) },
      { fuelPerCall: 5_000_000 },
    );
    assert.deepEqual([lines, lost], [["0", "10", "0", "10", "0", "10"], []]);
  });

  it("are not there for a guest that does not hold their name when it starts", async () => {
    const { lines } = await run((text) => [
      say(`(call $proxy_call_foreign_function ${text("expr_evaluate")} ${text("1234")} ${out})`),
      drop("(call $proxy_get_status (i32.const 8) (i32.const 0) (i32.const 4))"),
      tell,
    ]);
    assert.equal(lines[0], "10");
    assert.match(lines[1] ?? "", /hold the name 'expr_create'/);
  });
});

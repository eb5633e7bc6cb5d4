import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PropertyValue } from "../../../runtime/plugin/contract.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { cell, drop, out, outside, say, tell } from "../../support/proxy-wasm-guest.ts";
import { type Guest, startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

/** Runs the calls in a stream's first callback and gives what the guest logged. */
async function run(
  build: (text: (text: string) => string) => string[],
  options: { services?: TestServices; stream?: TestStream; imports?: string } = {},
): Promise<{ lines: string[]; services: TestServices }> {
  const { services = new TestServices(), stream = new TestStream(), imports = "" } = options;
  await using guest: Guest = await startText(
    (text) => ({ imports, on: { proxy_on_request_headers: `${build(text).join("\n")} (i32.const 0)` } }),
    { services },
  );
  guest.instance.open(stream).requestHeaders(true);
  assert.deepEqual(guest.lost, []);
  return { lines: services.lines, services };
}

describe("proxy_get_property", () => {
  const get = (path: string): string => `${say(`(call $proxy_get_property ${path} ${out})`)} ${tell}`;
  const bytes = (value: bigint | number): string => {
    const buffer = Buffer.alloc(8);
    if (typeof value === "bigint") buffer.writeBigInt64LE(value);
    else buffer.writeDoubleLE(value);
    return buffer.toString("utf8");
  };

  it("serializes every kind of value", async () => {
    const stream = new TestStream();
    const values: Record<string, PropertyValue> = {
      "source.address": "127.0.0.1:1",
      "request.time": 1_700_000_000_000_000_000n,
      "request.ratio": 0.5,
      "connection.mtls": true,
      "some.bytes": Uint8Array.of(1, 2),
      "request.headers": [["a", "b"]],
    };
    for (const [path, value] of Object.entries(values)) stream.properties.set(path, value);
    const { lines } = await run((text) => Object.keys(values).map((path) => get(text(path.replaceAll(".", "\0")))), {
      stream,
    });
    const told = ["127.0.0.1:1", bytes(1_700_000_000_000_000_000n), bytes(0.5), "\x01", "\x01\x02"];
    told.push(Buffer.from(encodePairs([["a", "b"]])).toString());
    assert.deepEqual(
      lines,
      told.flatMap((one) => ["0", one]),
    );
  });

  it("knows the plugin, the process, and a trailing NUL", async () => {
    const services = new TestServices();
    services.properties.set("node.id", "sidecar-é");
    const { lines } = await run(
      (text) => [get(text("plugin_name")), get(text("plugin_vm_id\0")), get(text("node\0id\0"))],
      { services },
    );
    assert.deepEqual(lines, ["0", "guest", "0", "vm-1", "0", "sidecar-é"]);
  });

  it("answers NOT_FOUND and INVALID_MEMORY_ACCESS", async () => {
    const { lines } = await run((text) => [
      say(`(call $proxy_get_property ${text("no\0such")} ${out})`),
      say(`(call $proxy_get_property ${outside} (i32.const 1) ${out})`),
      say(`(call $proxy_get_property ${text("plugin_name")} ${outside} (i32.const 0))`),
    ]);
    assert.deepEqual(lines, ["1", "6", "6"]);
  });

  it("gives back what was set on the stream, by Envoy's name too", async () => {
    const { lines } = await run((text) => [
      say(`(call $proxy_set_property ${text("tenant")} ${text("blue")})`),
      get(text("tenant")),
      get(text("filter_state\0wasm.tenant")),
      say(`(call $proxy_set_property ${outside} (i32.const 1) ${text("x")})`),
      say(`(call $proxy_set_property ${text("x")} ${outside} (i32.const 1))`),
    ]);
    assert.deepEqual(lines, ["0", "0", "blue", "0", "blue", "6", "6"]);
  });

  it("answers INTERNAL_FAILURE when the stream has no room for it", async () => {
    const { lines } = await run((text) => [
      say(`(call $proxy_set_property ${text("large")} (i32.const 0) (i32.const 1001))`),
      say(`(call $proxy_get_property ${text("large")} ${out})`),
    ]);
    assert.deepEqual(lines, ["10", "1"]);
  });

  it("cannot be set without a stream", async () => {
    await using guest = await startText((text) => ({
      on: { proxy_on_vm_start: `${say(`(call $proxy_set_property ${text("a")} ${text("b")})`)} (i32.const 1)` },
    }));
    assert.deepEqual(guest.services.lines, ["1"]);
  });
});

describe("shared data", () => {
  const set = (key: string, value: string, cas: string): string =>
    say(`(call $proxy_set_shared_data ${key} ${value} ${cas})`);

  it("is compared and set", async () => {
    const { lines } = await run((text) => [
      say(`(call $proxy_get_shared_data ${text("k")} ${out} ${cell})`),
      set(text("k"), text("1"), "(i32.const 77)"),
      say(`(call $proxy_get_shared_data ${text("k")} ${out} ${cell})`),
      tell,
      say(`(i32.load ${cell})`),
      set(text("k"), text("2"), `(i32.load ${cell})`),
      set(text("k"), text("3"), `(i32.load ${cell})`),
      set(text("k"), text(""), "(i32.const 0)"),
      say(`(call $proxy_get_shared_data ${text("k")} ${out} ${cell})`),
      tell,
    ]);
    assert.deepEqual(lines, ["1", "0", "0", "1", "1", "0", "8", "0", "0", ""]);
  });

  it("is bounded, and checks its pointers", async () => {
    const { lines } = await run((text) => [
      set(text("k"), "(i32.const 0) (i32.const 2000)", "(i32.const 0)"),
      set(text("k"), `${outside} (i32.const 1)`, "(i32.const 0)"),
      set(`${outside} (i32.const 1)`, text("k"), "(i32.const 0)"),
      say(`(call $proxy_get_shared_data ${outside} (i32.const 1) ${out} ${cell})`),
      say(`(call $proxy_get_shared_data ${text("k")} ${out} ${outside})`),
    ]);
    assert.deepEqual(lines, ["10", "6", "6", "6", "6"]);
  });
});

describe("metrics", () => {
  const define = (type: number, name: string): string =>
    say(`(call $proxy_define_metric (i32.const ${type}) ${name} ${cell})`);
  const increment = (delta: number): string =>
    say(`(call $proxy_increment_metric (i32.load ${cell}) (i64.const ${delta}))`);
  const record = (value: number): string => say(`(call $proxy_record_metric (i32.load ${cell}) (i64.const ${value}))`);
  const get = `${say(`(call $proxy_get_metric (i32.load ${cell}) (i32.const 16))`)}`;
  const value = say("(i32.wrap_i64 (i64.load (i32.const 16)))");

  it("count up", async () => {
    const { lines } = await run((text) => [
      define(0, text("hits")),
      increment(2),
      record(3),
      increment(0),
      increment(-1),
      get,
      value,
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "2", "2", "0", "5"]);
  });

  it("go up and down, and take samples", async () => {
    const { lines, services } = await run((text) => [
      define(1, text("depth")),
      record(9),
      increment(-4),
      get,
      value,
      define(2, text("seconds")),
      record(7),
      increment(1),
      get,
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "0", "5", "0", "0", "2", "2"]);
    assert.deepEqual(services.series[1]?.samples, [7]);
  });

  it("are the same series by the same name, and refuse the rest by status", async () => {
    const { lines } = await run((text) => [
      define(0, text("hits")),
      increment(1),
      define(0, text("hits")),
      get,
      value,
      define(3, text("odd")),
      define(0, text("")),
      define(0, `${outside} (i32.const 1)`),
      say("(call $proxy_get_metric (i32.const 99) (i32.const 16))"),
      say("(call $proxy_record_metric (i32.const 99) (i64.const 1))"),
      say("(call $proxy_increment_metric (i32.const -1) (i64.const 1))"),
      say(`(call $proxy_get_metric (i32.load ${cell}) ${outside})`),
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "0", "1", "2", "2", "6", "1", "1", "1", "6"]);
  });
});

describe("the log", () => {
  it("takes every level there is", async () => {
    const { lines } = await run(
      (text) => [
        ...[0, 1, 2, 3, 4, 5].map((level) => drop(`(call $proxy_log (i32.const ${level}) ${text(`at ${level}`)})`)),
        say(`(call $proxy_log (i32.const 6) ${text("no")})`),
        say(`(call $proxy_log (i32.const 2) ${outside} (i32.const 1))`),
        say(`(call $proxy_get_log_level ${cell})`),
        say(`(i32.load ${cell})`),
        say(`(call $proxy_get_log_level ${outside})`),
      ],
      { services: Object.assign(new TestServices(), { logLevel: "trace" }) },
    );
    assert.deepEqual(lines, [
      "trace: at 0",
      "debug: at 1",
      "at 2",
      "warn: at 3",
      "error: at 4",
      "critical: at 5",
      "2",
      "6",
      "0",
      "0",
      "6",
    ]);
  });

  it("leaves out what nobody wants, and the end of a long message", async () => {
    const { lines } = await run(
      (text) => [
        drop(`(call $proxy_log (i32.const 1) ${text("quiet")})`),
        drop("(call $proxy_log (i32.const 3) (i32.const 0) (i32.const 20000))"),
      ],
      { services: Object.assign(new TestServices(), { logLevel: "info" }) },
    );
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.length, "warn: ".length + 16_384 + 1);
  });
});

describe("time", () => {
  it("is the time of day in nanoseconds", async () => {
    const before = Date.now();
    const { lines } = await run(() => [
      say("(call $proxy_get_current_time_nanoseconds (i32.const 16))"),
      say("(i32.wrap_i64 (i64.div_u (i64.load (i32.const 16)) (i64.const 1000000000)))"),
      say(`(call $proxy_get_current_time_nanoseconds ${outside})`),
    ]);
    const seconds = Number(lines[1]);
    assert.ok(seconds >= Math.floor(before / 1000) - 1 && seconds <= Date.now() / 1000 + 1);
    assert.deepEqual([lines[0], lines[2]], ["0", "6"]);
  });

  it("ticks until the period is set to 0", async () => {
    await using guest = await startText(() => ({
      fields: "(global $ticks (mut i32) (i32.const 0))",
      on: {
        proxy_on_vm_start: `${say("(call $proxy_set_tick_period_milliseconds (i32.const 1))")} (i32.const 1)`,
        proxy_on_tick: `(global.set $ticks (i32.add (global.get $ticks) (i32.const 1)))
          (if (i32.eq (global.get $ticks) (i32.const 3))
            (then ${drop("(call $proxy_set_tick_period_milliseconds (i32.const 0))")} ${say("(local.get $id)")}))`,
      },
    }));
    await guest.services.logged("1");
    const { calls } = guest.instance.counters;
    assert.equal(calls, 4);
  });
});

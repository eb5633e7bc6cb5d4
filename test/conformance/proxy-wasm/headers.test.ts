import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { cell, out, outside, say, tell } from "../../support/proxy-wasm-guest.ts";
import { startText, TestFields, TestStream } from "../../support/proxy-wasm-host.ts";

const pairsText = (pairs: [string, string][]): string => Buffer.from(encodePairs(pairs)).toString("latin1");

/** Runs the calls in the callback for request headers, and gives the guest's log and the stream. */
async function onRequestHeaders(
  build: (text: (text: string) => string) => string[],
  headers: [string, string][] = [
    [":method", "GET"],
    ["x-a", "1"],
    ["x-a", "2"],
    ["x-empty", ""],
  ],
): Promise<{ lines: string[]; stream: TestStream; fields: readonly (readonly [string, string])[] }> {
  await using guest = await startText((text) => ({
    on: { proxy_on_request_headers: `${build(text).join("\n")} (i32.const 0)` },
  }));
  const stream = new TestStream(headers);
  const filter = guest.instance.open(stream);
  assert.equal(filter.requestHeaders(true), "continue");
  filter.end();
  assert.deepEqual(guest.lost, []);
  return { lines: guest.services.lines, stream, fields: stream.maps["request-headers"]?.entries() ?? [] };
}

describe("proxy_get_header_map_value", () => {
  it("gives the first value, whatever the case of the name", async () => {
    const { lines } = await onRequestHeaders((text) => [
      say(`(call $proxy_get_header_map_value (i32.const 0) ${text("X-A")} ${out})`),
      tell,
    ]);
    assert.deepEqual(lines, ["0", "1"]);
  });

  it("tells a missing name from an empty value, for which it allocates nothing", async () => {
    const { lines } = await onRequestHeaders((text) => [
      say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-b")} ${out})`),
      say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-empty")} ${out})`),
      say("(i32.load (i32.const 0))"),
      say("(i32.load (i32.const 4))"),
    ]);
    assert.deepEqual(lines, ["1", "0", "0", "0"]);
  });

  it("answers BAD_ARGUMENT for a map that this phase does not have", async () => {
    const { lines } = await onRequestHeaders((text) =>
      [1, 2, 3, 4, 5, 6, 7, 8].map((map) =>
        say(`(call $proxy_get_header_map_value (i32.const ${map}) ${text("x-a")} ${out})`),
      ),
    );
    assert.deepEqual(lines, ["2", "2", "2", "2", "2", "2", "2", "2"]);
  });

  it("answers INVALID_MEMORY_ACCESS for pointers outside the memory", async () => {
    const { lines } = await onRequestHeaders((text) => [
      say(`(call $proxy_get_header_map_value (i32.const 0) ${outside} (i32.const 3) ${out})`),
      say(`(call $proxy_get_header_map_value (i32.const 0) (i32.const 0) (i32.const -1) ${out})`),
      say(`(call $proxy_get_header_map_value (i32.const 0) (i32.const -1) (i32.const 2) ${out})`),
      say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-a")} ${outside} (i32.const 4))`),
      say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-a")} (i32.const 0) (i32.const -3))`),
    ]);
    assert.deepEqual(lines, ["6", "6", "6", "6", "6"]);
  });

  it("hands bytes over as they are", async () => {
    const { lines } = await onRequestHeaders(
      (text) => [say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x")} ${out})`), tell],
      [["x", Buffer.from("grüße", "utf8").toString("latin1")]],
    );
    assert.deepEqual(lines, ["0", "grüße"]);
  });
});

describe("changing a header map", () => {
  it("adds, replaces and removes", async () => {
    const { lines, fields } = await onRequestHeaders((text) => [
      say(`(call $proxy_add_header_map_value (i32.const 0) ${text("X-New")} ${text("n")})`),
      say(`(call $proxy_replace_header_map_value (i32.const 0) ${text("x-a")} ${text("3")})`),
      say(`(call $proxy_replace_header_map_value (i32.const 0) ${text("x-made")} ${text("m")})`),
      say(`(call $proxy_remove_header_map_value (i32.const 0) ${text("X-Empty")})`),
      say(`(call $proxy_remove_header_map_value (i32.const 0) ${text("x-missing")})`),
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "0", "0"]);
    assert.deepEqual(fields, [
      [":method", "GET"],
      ["x-a", "3"],
      ["x-new", "n"],
      ["x-made", "m"],
    ]);
  });

  it("replaces everything by pairs", async () => {
    const pairs = pairsText([
      [":method", "POST"],
      ["X-B", "\xff"],
    ]);
    const { lines, fields } = await onRequestHeaders((text) => [
      say(`(call $proxy_set_header_map_pairs (i32.const 0) ${text(pairs)})`),
    ]);
    assert.deepEqual(lines, ["0"]);
    assert.deepEqual(fields, [
      [":method", "POST"],
      ["x-b", "\xff"],
    ]);
  });

  it("keeps the map when pairs are malformed, or a field could become two on the wire", async () => {
    const good = pairsText([["x", "y"]]);
    const { lines, fields } = await onRequestHeaders((text) => [
      say(`(call $proxy_set_header_map_pairs (i32.const 0) ${text(`${good}\0`)})`),
      say(`(call $proxy_set_header_map_pairs (i32.const 0) ${text(good.slice(0, -1))})`),
      say(`(call $proxy_set_header_map_pairs (i32.const 0) ${text("\x01\0\0")})`),
      say(`(call $proxy_set_header_map_pairs (i32.const 0) ${text(pairsText([["x", "1\r\ny: 2"]]))})`),
      say(`(call $proxy_add_header_map_value (i32.const 0) ${text("x y")} ${text("1")})`),
      say(`(call $proxy_add_header_map_value (i32.const 0) ${text("x")} ${text("1\r\n\r\nGET /")})`),
      say(`(call $proxy_replace_header_map_value (i32.const 0) ${text("")} ${text("1")})`),
    ]);
    assert.deepEqual(lines, ["2", "2", "2", "2", "2", "2", "2"]);
    assert.equal(fields.length, 4);
  });

  it("answers BAD_ARGUMENT for a map that is not there, and INVALID_MEMORY_ACCESS for memory that is not", async () => {
    const { lines } = await onRequestHeaders((text) => [
      say(`(call $proxy_add_header_map_value (i32.const 2) ${text("x")} ${text("1")})`),
      say(`(call $proxy_replace_header_map_value (i32.const 9) ${text("x")} ${text("1")})`),
      say(`(call $proxy_remove_header_map_value (i32.const 3) ${text("x")})`),
      say(`(call $proxy_set_header_map_pairs (i32.const 1) ${text("\0\0\0\0")})`),
      say(`(call $proxy_add_header_map_value (i32.const 0) ${text("x")} ${outside} (i32.const 1))`),
      say(`(call $proxy_replace_header_map_value (i32.const 0) ${outside} (i32.const 1) ${text("x")})`),
      say(`(call $proxy_remove_header_map_value (i32.const 0) ${outside} (i32.const 1))`),
      say(`(call $proxy_set_header_map_pairs (i32.const 0) ${outside} (i32.const 1))`),
    ]);
    assert.deepEqual(lines, ["2", "2", "2", "2", "6", "6", "6", "6"]);
  });
});

describe("proxy_get_header_map_pairs and proxy_get_header_map_size", () => {
  it("serialize the map", async () => {
    const headers: [string, string][] = [
      [":method", "GET"],
      ["x-a", ""],
    ];
    const { lines } = await onRequestHeaders(
      () => [
        say(`(call $proxy_get_header_map_pairs (i32.const 0) ${out})`),
        tell,
        say("(call $proxy_get_header_map_size (i32.const 0) (i32.const 8))"),
        say("(i32.load (i32.const 8))"),
      ],
      headers,
    );
    const pairs = pairsText(headers);
    assert.deepEqual(lines, ["0", pairs, "0", String(pairs.length)]);
  });

  it("give an empty buffer for an empty map and for one that is not there", async () => {
    const { lines } = await onRequestHeaders(
      () =>
        [0, 2].flatMap((map) => [
          say(`(call $proxy_get_header_map_pairs (i32.const ${map}) ${out})`),
          say("(i32.or (i32.load (i32.const 0)) (i32.load (i32.const 4)))"),
        ]),
      [],
    );
    assert.deepEqual(lines, ["0", "0", "0", "0"]);
  });

  it("answer errors by status", async () => {
    const { lines } = await onRequestHeaders(() => [
      say(`(call $proxy_get_header_map_pairs (i32.const 8) ${out})`),
      say(`(call $proxy_get_header_map_pairs (i32.const 0) ${outside} (i32.const 4))`),
      say(`(call $proxy_get_header_map_size (i32.const 2) ${cell})`),
      say(`(call $proxy_get_header_map_size (i32.const 0) ${outside})`),
    ]);
    assert.deepEqual(lines, ["2", "6", "2", "6"]);
  });
});

describe("the other maps of a stream", () => {
  it("are there when the data plane has them", async () => {
    await using guest = await startText((text) => {
      const change = (map: number): string =>
        say(`(call $proxy_add_header_map_value (i32.const ${map}) ${text("x")} ${text(String(map))})`);
      return {
        on: {
          proxy_on_request_trailers: `${change(1)} ${say("(local.get $count)")} (i32.const 0)`,
          proxy_on_response_headers: `${change(2)} ${say("(local.get $end)")} (i32.const 0)`,
          proxy_on_response_trailers: `${change(3)} (i32.const 1)`,
        },
      };
    });
    const stream = new TestStream();
    stream.maps["request-trailers"] = new TestFields([["t", "1"]]);
    stream.maps["response-headers"] = new TestFields();
    stream.maps["response-trailers"] = new TestFields();
    const filter = guest.instance.open(stream);
    assert.equal(filter.requestHeaders(false), "continue");
    assert.equal(filter.requestTrailers(), "continue");
    assert.equal(filter.responseHeaders(true), "continue");
    assert.equal(filter.responseTrailers(), "pause");
    assert.deepEqual(guest.services.lines, ["0", "1", "0", "1", "0"]);
    assert.equal(stream.maps["response-trailers"].get("x"), "3");
  });
});

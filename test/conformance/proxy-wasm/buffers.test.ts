import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { out, outside, say, tell } from "../../support/proxy-wasm-guest.ts";
import { startText, TestBody, TestStream } from "../../support/proxy-wasm-host.ts";

const get = (buffer: number, start: number, size: number): string =>
  `${say(`(call $proxy_get_buffer_bytes (i32.const ${buffer}) (i32.const ${start}) (i32.const ${size}) ${out})`)} ${tell}`;

/** Runs the calls in the callback for the request's body. */
async function onRequestBody(build: (text: (text: string) => string) => string[], body = "0123456789") {
  await using guest = await startText(
    (text) => ({ on: { proxy_on_request_body: `${build(text).join("\n")} (i32.const 1)` } }),
    { configuration: "settings" },
  );
  const stream = new TestStream();
  stream.bodies.request = new TestBody(body);
  const filter = guest.instance.open(stream);
  filter.requestHeaders(false);
  assert.equal(filter.requestBody(false), "pause");
  filter.end();
  assert.deepEqual(guest.lost, []);
  return { lines: guest.services.lines, body: stream.bodies.request.text };
}

describe("proxy_get_buffer_bytes", () => {
  it("gives a range of the body, clamped to it", async () => {
    const { lines } = await onRequestBody(() => [get(0, 2, 3), get(0, 8, 100), get(0, 10, 1), get(0, 0, -1)]);
    assert.deepEqual(lines, ["0", "234", "0", "89", "0", "", "0", "0123456789"]);
  });

  it("refuses a range that wraps around, and buffers that do not exist", async () => {
    const { lines } = await onRequestBody(() => [get(0, 1, -1), get(9, 0, 1), get(-1, 0, 1)]);
    assert.deepEqual(
      lines.filter((line) => line !== ""),
      ["2", "2", "2"],
    );
  });

  it("answers NOT_FOUND for a buffer that is not there now", async () => {
    const { lines } = await onRequestBody(() => [1, 2, 3, 4, 5, 8].map((buffer) => get(buffer, 0, 1)));
    assert.deepEqual(
      lines.filter((line) => line !== ""),
      ["1", "1", "1", "1", "1", "1"],
    );
  });

  it("gives the plugin's configuration at any time, and no VM configuration", async () => {
    const { lines } = await onRequestBody(() => [get(7, 0, 100), get(6, 0, 100)]);
    assert.deepEqual(lines, ["0", "settings", "0", ""]);
  });

  it("answers INVALID_MEMORY_ACCESS for places outside", async () => {
    const { lines } = await onRequestBody(() => [
      say(`(call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 9) ${outside} (i32.const 4))`),
    ]);
    assert.deepEqual(lines, ["6"]);
  });
});

describe("proxy_set_buffer_bytes", () => {
  const set = (buffer: number, start: number, size: number, text: string): string =>
    say(`(call $proxy_set_buffer_bytes (i32.const ${buffer}) (i32.const ${start}) (i32.const ${size}) ${text})`);

  it("prepends, appends, replaces, and changes the middle", async () => {
    assert.equal((await onRequestBody((text) => [set(0, 0, 0, text("<"))])).body, "<0123456789");
    assert.equal((await onRequestBody((text) => [set(0, 10, 0, text(">"))])).body, "0123456789>");
    assert.equal((await onRequestBody((text) => [set(0, -1, -1, text(">"))])).body, "0123456789>");
    assert.equal((await onRequestBody((text) => [set(0, 0, 10, text("all"))])).body, "all");
    assert.equal((await onRequestBody((text) => [set(0, 0, -1, text(""))])).body, "");
    assert.equal((await onRequestBody((text) => [set(0, 3, 4, text("-"))])).body, "012-789");
  });

  it("refuses what may only be read, what is not there, and bytes outside the memory", async () => {
    const { lines } = await onRequestBody((text) => [
      set(7, 0, 1, text("x")),
      set(1, 0, 1, text("x")),
      set(12, 0, 1, text("x")),
      set(0, 0, 1, `${outside} (i32.const 1)`),
    ]);
    assert.deepEqual(lines, ["2", "1", "2", "6"]);
  });
});

describe("proxy_get_buffer_status", () => {
  it("tells the length", async () => {
    const { lines } = await onRequestBody(() => [
      say("(call $proxy_get_buffer_status (i32.const 0) (i32.const 0) (i32.const 4))"),
      say("(i32.load (i32.const 0))"),
      say("(call $proxy_get_buffer_status (i32.const 4) (i32.const 0) (i32.const 4))"),
      say("(call $proxy_get_buffer_status (i32.const 99) (i32.const 0) (i32.const 4))"),
      say(`(call $proxy_get_buffer_status (i32.const 0) ${outside} (i32.const 4))`),
    ]);
    assert.deepEqual(lines, ["0", "10", "1", "2", "6"]);
  });
});

describe("memory that grows", () => {
  it("is seen as it is after an allocator grew it in the middle of a hostcall", async () => {
    await using guest = await startText((text) => ({
      malloc: `(func (export "malloc") (param i32) (result i32)
        (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))`,
      on: {
        proxy_on_request_headers: `
          ${say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-a")} ${out})`)} ${tell}
          (drop (memory.grow (i32.const 1)))
          ${say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-a")} ${out})`)} ${tell}
          ${say("(memory.size)")}
          (i32.const 0)`,
      },
    }));
    const filter = guest.instance.open(new TestStream([["x-a", "grown"]]));
    filter.requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["0", "grown", "0", "grown", "5"]);
  });
});

describe("an allocator", () => {
  const answering = (malloc: string): Promise<string[]> =>
    readWith(`(func (export "malloc") (param i32) (result i32) ${malloc})`);

  async function readWith(malloc: string): Promise<string[]> {
    await using guest = await startText((text) => ({
      malloc,
      on: {
        proxy_on_request_headers: `
          ${say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-a")} ${out})`)} (i32.const 0)`,
      },
    }));
    guest.instance.open(new TestStream([["x-a", "1"]])).requestHeaders(true);
    return guest.services.lines;
  }

  it("that has no memory, or gives some that is not there, is an invalid memory access", async () => {
    assert.deepEqual(await answering("(i32.const 0)"), ["6"]);
    assert.deepEqual(await answering("(i32.const 0x7fffffff)"), ["6"]);
    assert.deepEqual(await answering("(i32.const -1)"), ["6"]);
  });

  it("may be called proxy_on_memory_allocate", async () => {
    const lines = await readWith(
      `(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 40000))`,
    );
    assert.deepEqual(lines, ["0"]);
  });

  it("may log, and nothing else", async () => {
    const allocatorThatLogs = `(func (export "malloc") (param i32) (result i32)
      (call $say (i32.const 7)) (i32.const 40000))`;
    assert.deepEqual(await readWith(allocatorThatLogs), ["7", "0"]);
    await using guest = await startText((text) => ({
      malloc: `(func (export "malloc") (param i32) (result i32)
        (drop (call $proxy_set_tick_period_milliseconds (i32.const 1000))) (i32.const 40000))`,
      on: {
        proxy_on_request_headers: `
          ${say(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-a")} ${out})`)} (i32.const 0)`,
      },
    }));
    const stream = new TestStream([["x-a", "1"]]);
    assert.equal(guest.instance.open(stream).requestHeaders(true), "pause");
    assert.deepEqual(stream.events, ["failed memory"]);
    assert.match(String(stream.error?.message), /called the host from its allocator/);
  });
});

describe("the answer to a body", () => {
  const answering = async (answer: number, header = 0) => {
    await using guest = await startText(() => ({
      on: {
        proxy_on_request_headers: `(i32.const ${header})`,
        proxy_on_request_body: `${say("(local.get $size)")} (i32.const ${answer})`,
      },
    }));
    const stream = new TestStream();
    stream.bodies.request = new TestBody("abc");
    const filter = guest.instance.open(stream);
    const actions = [filter.requestHeaders(false), filter.requestBody(true)];
    assert.deepEqual(guest.services.lines, ["3"]);
    return { actions, body: stream.bodies.request.text };
  };

  it("means what it means in Envoy, and dropping without buffering drops", async () => {
    assert.deepEqual(await answering(0), { actions: ["continue", "continue"], body: "abc" });
    assert.deepEqual(await answering(1, 1), { actions: ["pause", "pause"], body: "abc" });
    assert.deepEqual(await answering(2, 2), { actions: ["continue", "watermark"], body: "abc" });
    assert.deepEqual(await answering(3, 4), { actions: ["pause", "pause"], body: "" });
  });
});

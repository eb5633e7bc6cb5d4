/** What modules made for Layotto import besides the ABI. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drop, out, outside, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import { startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

const imports = `
  (import "env" "proxy_get_state" (func $get_state (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_invoke_service" (func $invoke (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))`;

/** What the guest logs when it makes the calls in a stream's first callback. */
async function run(
  build: (text: PlaceText) => string[],
  { services = new TestServices(), suspends = true, depth = 0 } = {},
): Promise<readonly string[]> {
  await using guest = await startText(
    (text) => ({ imports, on: { proxy_on_request_headers: `${build(text).join("\n")} (i32.const 0)` } }),
    { services, suspends },
  );
  const stream = new TestStream([
    [":method", "GET"],
    ["outrigger-depth", String(depth)],
  ]);
  guest.instance.open(stream).requestHeaders(true);
  if (suspends) await stream.saw("settle");
  assert.deepEqual(guest.lost, []);
  return services.lines;
}

const status = `${drop(`(call $proxy_get_status (i32.const 16) ${out})`)} ${tell}`;

describe("proxy_get_state", () => {
  it("gives the value of a key, and an empty one for a key that is not there", async () => {
    const services = new TestServices();
    services.state.set("orders/apple", "7");
    const lines = await run(
      (text) => [
        say(`(call $get_state ${text("orders")} ${text("apple")} ${out})`),
        tell,
        say(`(call $get_state ${text("orders")} ${text("pear")} ${out})`),
        tell,
      ],
      { services },
    );
    assert.deepEqual(lines, ["0", "7", "0", ""]);
  });

  it("answers INTERNAL_FAILURE when it fails, with the reason in the status, and INVALID_MEMORY_ACCESS outside the memory", async () => {
    const lines = await run((text) => [
      say(`(call $get_state ${text("none")} ${text("apple")} ${out})`),
      status,
      say(`(call $get_state ${outside} (i32.const 1) ${text("apple")} ${out})`),
      say(`(call $get_state ${text("orders")} ${outside} (i32.const 1) ${out})`),
      say(`(call $get_state ${text("orders")} ${text("apple")} ${outside} (i32.const 0))`),
    ]);
    assert.deepEqual(lines, ["10", "there is no state store 'none'", "6", "6", "6"]);
  });
});

describe("proxy_invoke_service", () => {
  it("gives what the service answers, which is told its id and how deep it is called", async () => {
    const services = new TestServices();
    services.invoked.set("id_2", (method, parameter, metadata) => `${method} ${parameter} ${JSON.stringify(metadata)}`);
    const lines = await run(
      (text) => [say(`(call $invoke ${text("id_2")} ${text("/book")} ${text("id=7")} ${out})`), tell],
      { services, depth: 1 },
    );
    assert.deepEqual(lines, ["0", '/book id=7 [["outrigger-depth","2"],["id","id_2"]]']);
  });

  it("answers INTERNAL_FAILURE when it fails or is too deep, and INVALID_MEMORY_ACCESS outside the memory", async () => {
    const call = (text: PlaceText): string => `(call $invoke ${text("none")} ${text("/")} ${text("")} ${out})`;
    const failed = await run((text) => [
      say(call(text)),
      status,
      say(`(call $invoke ${outside} (i32.const 1) ${text("/")} ${text("")} ${out})`),
      say(`(call $invoke ${text("none")} ${text("/")} ${outside} (i32.const 1) ${out})`),
    ]);
    assert.deepEqual(failed, ["10", "there is no target 'none'", "6", "6"]);
    const deep = await run((text) => [say(call(text)), status], { depth: 4 });
    assert.deepEqual(deep, ["10", "plugins called each other more than 4 deep"]);
  });
});

it("a guest that does not suspend is told how it could wait", async () => {
  const lines = await run(
    (text) => [
      say(`(call $get_state ${text("orders")} ${text("apple")} ${out})`),
      say(`(call $invoke ${text("id_2")} ${text("/")} ${text("")} ${out})`),
      status,
    ],
    { suspends: false },
  );
  const why =
    "proxy_invoke_service is answered later, and this plugin does not wait: set 'suspends: true' in its manifest";
  assert.deepEqual(lines, ["12", "12", why]);
});

/** What is different for guests of ABI 0.1.0. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drop, out, outside, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import {
  type StartOptions,
  startGuest,
  startText,
  TestFields,
  TestServices,
  TestStream,
} from "../../support/proxy-wasm-host.ts";
import { assemble } from "../../support/wat.ts";

const imports = `
  (import "env" "proxy_get_configuration" (func $configuration (param i32 i32) (result i32)))
  (import "env" "proxy_continue_request" (func $continue_request (result i32)))
  (import "env" "proxy_continue_response" (func $continue_response (result i32)))
  (import "env" "proxy_clear_route_cache" (func $clear_route (result i32)))`;
const marker = "proxy_abi_version_0_1_0";

/** A guest of ABI 0.1.0 with these callbacks. */
const start = (build: (text: PlaceText) => Record<string, string>, options: StartOptions = {}) =>
  startText((text) => ({ marker, imports, on: build(text) }), options);

describe("a guest of ABI 0.1.0", () => {
  it("has header callbacks of two parameters", async () => {
    const services = new TestServices();
    const wat = `(module
      (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "0123456789")
      (func (export "${marker}"))
      (func (export "malloc") (param i32) (result i32) (i32.const 64))
      (func $digit (param $n i32)
        (drop (call $log (i32.const 2) (i32.add (i32.const 16) (local.get $n)) (i32.const 1))))
      (func (export "proxy_on_request_headers") (param $id i32) (param $count i32) (result i32)
        (call $digit (local.get $id)) (call $digit (local.get $count)) (i32.const 1))
      (func (export "proxy_on_response_headers") (param $id i32) (param $count i32) (result i32)
        (call $digit (local.get $count)) (i32.const 0)))`;
    await using guest = await startGuest(await assemble("guest", wat), { services });
    const stream = new TestStream([
      [":method", "GET"],
      [":path", "/"],
      ["a", "b"],
    ]);
    stream.maps["response-headers"] = new TestFields([[":status", "200"]]);
    const filter = guest.instance.open(stream);
    assert.equal(filter.requestHeaders(true), "pause");
    assert.equal(filter.responseHeaders(true), "continue");
    assert.deepEqual(services.lines, ["2", "3", "1"]);
  });

  it("gets an empty value for a field that is not there", async () => {
    await using guest = await start((text) => ({
      proxy_on_request_headers: `${say(`(call $proxy_get_header_map_value (i32.const 0) ${text("none")} ${out})`)} ${tell}
        ${say(`(call $proxy_get_header_map_value (i32.const 2) ${text("none")} ${out})`)} (i32.const 0)`,
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["0", "", "2"]);
  });

  it("reads its configuration, which is that of the VM while the VM starts", async () => {
    const read = `${say(`(call $configuration ${out})`)} ${tell}`;
    await using guest = await start(
      () => ({
        proxy_on_vm_start: `${read} (i32.const 1)`,
        proxy_on_configure: `${read} (i32.const 1)`,
        proxy_on_request_headers: `${read} ${say(`(call $configuration ${outside} (i32.const 0))`)} (i32.const 0)`,
      }),
      { configuration: "currency: EUR", vmConfiguration: "rates: daily" },
    );
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["0", "rates: daily", "0", "currency: EUR", "0", "currency: EUR", "6"]);
  });

  it("goes on with a direction that it paused, in the callback and later", async () => {
    await using guest = await start(() => ({
      proxy_on_request_headers: `${drop("(call $continue_request)")} (i32.const 1)`,
      proxy_on_response_headers: "(i32.const 1)",
      proxy_on_response_body: `${say("(call $continue_response)")} (i32.const 0)`,
    }));
    const stream = new TestStream();
    stream.maps["response-headers"] = new TestFields([[":status", "200"]]);
    const filter = guest.instance.open(stream);
    assert.equal(filter.requestHeaders(true), "continue");
    assert.equal(filter.responseHeaders(false), "pause");
    filter.responseBody(true);
    assert.deepEqual(guest.services.lines, ["0"]);
  });

  it("clears the route of a stream", async () => {
    await using guest = await start(() => ({
      proxy_on_vm_start: `${say("(call $clear_route)")} (i32.const 1)`,
      proxy_on_request_headers: `${say("(call $clear_route)")} (i32.const 0)`,
    }));
    const stream = new TestStream();
    guest.instance.open(stream).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["0", "0"]);
    assert.deepEqual(stream.events, ["clear route"]);
  });

  it("has nothing to go on with outside a stream", async () => {
    await using guest = await start(() => ({
      proxy_on_vm_start: `${say("(call $continue_request)")} ${say("(call $continue_response)")} (i32.const 1)`,
    }));
    assert.deepEqual(guest.services.lines, ["2", "2"]);
  });
});

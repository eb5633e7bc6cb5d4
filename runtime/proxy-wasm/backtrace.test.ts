import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startText, TestStream } from "../../test/support/proxy-wasm-host.ts";

/** The message of the error that ends a guest with these functions in its first callback. */
async function messageOf(fields: string, body: string, fuelPerCall = 1_000_000): Promise<string> {
  await using guest = await startText(() => ({ fields, on: { proxy_on_request_headers: body } }), { fuelPerCall });
  const stream = new TestStream();
  guest.instance.open(stream).requestHeaders(true);
  return stream.error?.message ?? assert.fail("the guest lives");
}

describe("the error that ends a guest", () => {
  it("names the functions by the name section, the innermost first", async () => {
    const fields = `(func $parse_price (param i32) (i32.store (i32.const -4) (local.get 0)))
      (func $handle (call $parse_price (i32.const 1)))`;
    assert.match(
      await messageOf(fields, "(call $handle) (i32.const 0)"),
      /^plugin 'guest' 1\.0\.0 trapped in proxy_on_request_headers: memory access out of bounds, in parse_price, called by handle$/,
    );
  });

  it("names the function that used up the fuel", async () => {
    const message = await messageOf("(func $spin (loop (br 0)))", "(call $spin) (i32.const 0)", 1_000);
    assert.match(message, /used up its 1000 units of fuel in proxy_on_request_headers, in spin$/);
  });

  it("names a few of the functions of a stack that overflowed", async () => {
    const message = await messageOf(
      "(func $deeper (call $deeper) (call $deeper))",
      "(call $deeper) (i32.const 0)",
      1e9,
    );
    assert.match(
      message,
      /overflowed its stack in proxy_on_request_headers, in deeper, called by (deeper, ){1,9}deeper$/,
    );
  });
});

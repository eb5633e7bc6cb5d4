import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { guestText } from "../../test/support/proxy-wasm-guest.ts";
import { startGuest, TestStream } from "../../test/support/proxy-wasm-host.ts";
import { assemble } from "../../test/support/wat.ts";
import { withoutNames } from "../../test/support/without-names.ts";

interface Failing {
  /** Functions of the guest, and what its first callback does. */
  readonly fields: string;
  readonly body: string;
  readonly fuelPerCall?: number;
  readonly names?: "kept" | "stripped";
}

/** The message of the error that ends a guest in its first callback, and the module as it was built. */
async function failure({ fields, body, fuelPerCall = 1_000_000, names = "kept" }: Failing) {
  const text = guestText(() => ({ fields, on: { proxy_on_request_headers: body } }));
  const named = await assemble("guest", text);
  const bytes = names === "kept" ? named : withoutNames(named);
  await using guest = await startGuest(bytes, { fuelPerCall });
  const stream = new TestStream();
  guest.instance.open(stream).requestHeaders(true);
  return { message: stream.error?.message ?? assert.fail("the guest lives"), bytes: Buffer.from(bytes) };
}

const hex = (offset: number): string => `0x${offset.toString(16)}`;

describe("the error that ends a guest", () => {
  const parsing = {
    fields: `(func $parse_price (param i32) (i32.store (i32.const -4) (local.get 0)))
      (func $handle (if (i32.const 1) (then (call $parse_price (i32.const 4711)))))`,
    body: "(call $handle) (i32.const 0)",
  };
  /** What the module has for `i32.const 4711`, and for the arguments of the store. */
  const [argument, stored] = [Buffer.from([0x41, 0xe7, 0x24]), Buffer.from([0x41, 0x7c, 0x20, 0x00, 0x36])];

  it("names the functions by the name section, the innermost first, and where they are in the module as it was built", async () => {
    const { message, bytes } = await failure(parsing);
    const store = hex(bytes.indexOf(stored) + 4);
    const call = hex(bytes.indexOf(argument) + 3);
    const [start, callers = ""] = message.split(" called by ");
    assert.equal(
      start,
      `plugin 'guest' 1.0.0 trapped in proxy_on_request_headers: memory access out of bounds, in parse_price at ${store},`,
    );
    assert.match(callers, new RegExp(`^handle at ${call}, function \\d+ at 0x[\\da-f]+$`));
  });

  it("names them by their index when the module has no names", async () => {
    const { message, bytes } = await failure({ ...parsing, names: "stripped" });
    const store = hex(bytes.indexOf(stored) + 4);
    assert.match(message, new RegExp(`out of bounds, in function \\d+ at ${store}, called by function \\d+ at 0x`));
  });

  it("names the function that used up the fuel", async () => {
    const { message } = await failure({
      fields: "(func $spin (loop (br 0)))",
      body: "(call $spin) (i32.const 0)",
      fuelPerCall: 1_000,
    });
    assert.match(
      message,
      /used up its 1000 units of fuel in proxy_on_request_headers, in spin at 0x[\da-f]+, called by/,
    );
  });

  it("names a few of the functions of a stack that overflowed", async () => {
    const { message } = await failure({
      fields: "(func $deeper (call $deeper) (call $deeper))",
      body: "(call $deeper) (i32.const 0)",
      fuelPerCall: 1e9,
    });
    assert.match(
      message,
      /overflowed its stack in proxy_on_request_headers, in deeper at 0x\w+, called by (deeper at 0x\w+, ){1,9}deeper at 0x\w+$/,
    );
  });
});

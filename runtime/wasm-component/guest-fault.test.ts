import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PluginProgram } from "../plugin/contract.ts";
import { faultOf } from "./guest-fault.ts";
import { GuestMeter } from "./guest-meter.ts";

const program = { name: "shop", version: "1.0.0", module: { limits: { memoryBytes: 65_536 } } } as PluginProgram;

function thrownBy(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe("what ended a guest", () => {
  const meter = new GuestMeter();
  meter.refill(1_000);
  const told = (cause: unknown): string => faultOf(program, meter, "handle", 1_000, cause).message;

  it("is its stack when that overflowed, and no other error of a range", () => {
    const deep = (): number => 1 + deep();
    assert.equal(told(thrownBy(deep)), "plugin 'shop' 1.0.0 overflowed its stack in handle");
    const { buffer } = new WebAssembly.Memory({ initial: 1 });
    assert.match(
      told(thrownBy(() => new DataView(buffer).getInt32(70_000, true))),
      /^plugin 'shop' 1\.0\.0 trapped in handle: what it passed lies outside of its memory or is too long \(Offset is/,
    );
    assert.match(
      told(thrownBy(() => new Uint8Array(buffer, 70_000, 4))),
      /outside of its memory or is too long \(Invalid/,
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { GuestCrossings } from "./guest-crossings.ts";
import { GuestMeter, GuestStopped } from "./guest-meter.ts";
import { crossingsName, watchCrossings } from "./watch-crossings.ts";

/** Takes a list of texts out of a memory, as the generated code does, and calls the host. */
const lines = [
  "function instantiate(getCoreModule, imports) {",
  "  function _lowerImportBackwardsCompat(args) {",
  "    return args;",
  "  }",
  "  let memory0;",
  "  return (memory, base1, len1, ptr2, len2) => {",
  "    const exports0 = { memory };",
  "    memory0 = exports0.memory;",
  "    _lowerImportBackwardsCompat();",
  "    const taken = [];",
  "    for (let i = 0; i < len1; i++) {",
  "      const base = base1 + i * 8;",
  "      taken.push(base, DECODER.decode(new Uint8Array(memory0.buffer, ptr2, len2)));",
  "    }",
  "    taken.push(new Uint8Array(memory0.buffer.slice(ptr2, ptr2 + len2 * 1)));",
  "    return taken;",
  "  };",
  "}",
];
const code = lines.join("\n");

type Take = (memory: WebAssembly.Memory, base: number, elements: number, start: number, bytes: number) => unknown[];

function evaluate(imports: Readonly<Record<string, unknown>>): Take {
  const make = new Function("DECODER", `${watchCrossings(code)} return instantiate;`);
  return make(new TextDecoder())(undefined, imports);
}

describe("what crosses from the memory of a guest", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const guest = (fuel: number): Take => {
    const meter = new GuestMeter();
    meter.refill(fuel);
    return evaluate({ [crossingsName]: new GuestCrossings(meter) });
  };

  it("is taken as it was, told to nobody where nobody is to be told", () => {
    assert.deepEqual(evaluate({})(memory, 16, 1, 0, 2), [16, "\0\0", Uint8Array.of(0, 0)]);
    assert.deepEqual(guest(10_000)(memory, 16, 1, 0, 2), [16, "\0\0", Uint8Array.of(0, 0)]);
  });

  it("is paid for before it is taken", () => {
    assert.throws(() => guest(1_000)(memory, 0, 0, 0, 0), GuestStopped, "the call");
    assert.throws(() => guest(10_000)(memory, 0, 1, 0, 10_000), GuestStopped, "a text");
    assert.throws(() => guest(10_000)(memory, 0, 100_000, 0, 0), GuestStopped, "a list");
  });

  it("lies in the memory", () => {
    for (const [start, bytes] of [
      [65_536, 1],
      [0, 0x7fffffff],
      [-1, 1],
      [0, -1],
      [65_536, -65_536],
    ] as const)
      assert.throws(() => guest(1e12)(memory, 0, 1, start, bytes), WebAssembly.RuntimeError);
  });

  it("pays nothing back when it is longer than any memory, and so below zero", () => {
    const meter = new GuestMeter();
    meter.refill(10_000);
    const take = evaluate({ [crossingsName]: new GuestCrossings(meter) });
    assert.throws(() => take(memory, 0, -0x80000000, 0, 0), WebAssembly.RuntimeError);
    assert.ok(meter.used > 0);
  });

  it("is not the same again and again", () => {
    assert.throws(() => guest(1e12)(memory, 0, 1_000, 0, 65_536), GuestStopped);
  });

  it("is not taken by code that is written in another way", () => {
    for (const [from, to] of [
      ["memory0.buffer, ptr2, len2", "memory0.buffer, ptr2, len2 + 1"],
      ["slice(ptr2, ptr2 + len2 * 1)", "slice(ptr2, len2)"],
      ["const base = base1 + i * 8", "const other = base1 + i * 8"],
      ["Compat(args) {", "Compat(args, more = () => 1) {"],
      ["function instantiate", "function other"],
      ["memory0 = exports0.memory", "memory0 = exports0.memory; new Float64Array(memory0.buffer, ptr2, len2)"],
      ["return args;", "return args; }\nconst trampoline0 = streamNew.bind(null); {"],
    ] as const)
      assert.throws(() => watchCrossings(code.replace(from, to)), SandboxError, to);
  });
});

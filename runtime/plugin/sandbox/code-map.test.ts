import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compileGuests } from "../../../test/bench/guests/compile.ts";
import { functionBodies } from "../../../test/support/function-bodies.ts";
import { assemble } from "../../../test/support/wat.ts";
import { type CodePlace, originalOffsets } from "./code-map.ts";
import { rewrite } from "./rewrite.ts";

const limits = { memoryBytes: 1 << 20, tableEntries: 10, startFuel: 1_000_000 };

/** Function index and offset of each frame of the guest when `run` traps. */
function framesOf(module: Uint8Array<ArrayBuffer>, argument: number): CodePlace[] {
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(module), { env: { callback } }).exports as {
    readonly run: (argument: number) => unknown;
  };
  try {
    run(argument);
  } catch (error) {
    assert.ok(error instanceof WebAssembly.RuntimeError);
    const frames = [...(error.stack ?? "").matchAll(/wasm-function\[(\d+)\]:0x([\da-f]+)/g)];
    return frames.map(([, index, offset]) => ({
      functionIndex: Number(index),
      offset: Number.parseInt(offset ?? "", 16),
    }));
  }
  return assert.fail("it does not trap");
}

const callback = (): void => {};

/** Where the frames lie in the module as it was written, by the map, against where V8 finds them when it runs that one. */
async function compare(name: string, functions: string, argument = 0): Promise<void> {
  const bytes = await assemble(
    name,
    `(module (import "env" "callback" (func $callback)) (memory 1) (table 1 funcref) ${functions})`,
  );
  const wanted = framesOf(bytes, argument);
  const { bytes: rewritten, codeMap } = rewrite(bytes, limits);
  const moved = framesOf(rewritten, argument);
  assert.notDeepEqual(moved, wanted, "metering moves the code");
  assert.deepEqual(
    originalOffsets(codeMap, moved),
    wanted.map(({ offset }) => offset),
  );
}

const padding = "(drop (call $identity (i32.const 7)))".repeat(60);
const identity = "(func $identity (param i32) (result i32) (if (local.get 0) (then (call $callback))) (local.get 0))";

describe("the map of the code", () => {
  it("finds a trap behind loops and branches", async () => {
    await compare(
      "map-loop",
      `(func (export "run") (param i32) (local $i i32)
        (loop $again
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (if (i32.lt_u (local.get $i) (i32.const 100)) (then (br $again)) (else (unreachable)))))`,
    );
  });

  it("finds every caller, in long functions and behind them", async () => {
    await compare(
      "map-callers",
      `${identity}
      (func $divide (param i32) (result i32) ${padding} (i32.div_u (i32.const 1) (local.get 0)))
      (func $middle (param i32) (result i32) (call $callback) (i32.add (i32.const 1) (call $divide (local.get 0))))
      (func (export "run") (param i32) ${padding} (drop (call $middle (local.get 0))) ${padding})`,
    );
  });

  it("finds functions that work on the fuel itself, and those that are charged to their callers", async () => {
    await compare(
      "map-handlers",
      `(tag $oops)
      (func $leaf (param i32) (result i32) (i32.load (i32.sub (local.get 0) (i32.const 4))))
      (func (export "run") (param i32)
        (try (do (call $callback)) (catch $oops))
        (drop (call $leaf (local.get 0))))`,
    );
  });

  it("finds accesses out of bounds by bulk operations behind their charges", async () => {
    await compare(
      "map-bulk",
      `(func (export "run") (param i32)
        (call $callback)
        (memory.fill (i32.const 65530) (local.get 0) (i32.const 100)))`,
    );
  });

  it("finds the end of every function of a program that a compiler made", async () => {
    const bytes = await compileGuests();
    const { bytes: rewritten, codeMap } = rewrite(bytes, limits);
    const functions = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).filter(
      ({ kind }) => kind === "function",
    );
    const originals = functionBodies(bytes);
    const places = functionBodies(rewritten).map(({ end }, at) => ({
      functionIndex: functions.length + at,
      offset: end - 1,
    }));
    assert.ok(originals.length > 10 && places.length > originals.length);
    const added = Array.from({ length: places.length - originals.length }, () => undefined);
    assert.deepEqual(originalOffsets(codeMap, places), [...originals.map(({ end }) => end - 1), ...added]);
  });

  it("counts what was put in to the instruction behind it, and knows nothing of functions that were added", async () => {
    const bytes = await assemble(
      "map-fuel",
      '(module (func (export "run") (param i32) (loop (nop) (br 0))) (memory 1))',
    );
    const { bytes: rewritten, codeMap } = rewrite(bytes, limits);
    const [spinning = assert.fail("no frame")] = framesOf(rewritten, 0);
    const [place = 0, added] = originalOffsets(codeMap, [spinning, { functionIndex: 1, offset: spinning.offset }]);
    assert.ok([0x01, 0x03, 0x0c].includes(bytes[place] ?? 0), `at ${place} is ${bytes[place]}`);
    assert.equal(added, undefined);
  });
});

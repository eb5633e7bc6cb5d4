import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compileGuests } from "../../../test/bench/guests/compile.ts";
import { assemble } from "../../../test/support/wat.ts";
import { rewrite } from "./rewrite.ts";
import { SandboxError } from "./sandbox-error.ts";
import type { SandboxLimits } from "./sandboxed-module.ts";

const limits: SandboxLimits = { memoryBytes: 64 << 16, tableEntries: 1_000, startFuel: 1_000 };

/** Modules that hold something of everything the sandbox allows. */
const texts: readonly string[] = [
  `(module
    (type $binary (func (param i32 i32) (result i32)))
    (import "host" "log" (func $log (param i32 i32)))
    (import "host" "level" (global $level i32))
    (memory (export "memory") 1 4) (table $t 4 8 funcref) (table $x 2 externref)
    (global $g (export "g") (mut i64) (i64.const -5)) (global f64 (f64.const 1.5)) (global funcref (ref.func $add))
    (elem (table $t) (i32.const 0) func $add $log) (elem $passive funcref (ref.func $add) (ref.null func))
    (data (i32.const 8) "text") (data $d "passive")
    (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
    (func $multi (param i32) (result i32 i64) (local.get 0) (i64.extend_i32_s (local.get 0)))
    (func $run (export "run") (param i32) (result i32) (local i64 i32)
      (call $log (i32.const 8) (i32.const 4))
      (block $out (loop $again
        (br_if $out (i32.eqz (local.get 0)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (if (i32.and (local.get 0) (i32.const 1)) (then (br $again)) (else (nop)))
        (block $a (block $b (block $c (br_table $a $b $c (local.get 0))) (br $again)) (return (i32.const 3)))
        (br $again)))
      (call $multi (i32.const 1)) (local.set 1)
      (drop (memory.grow (i32.const 0)))
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 10)) (memory.copy (i32.const 0) (i32.const 4) (i32.const 8))
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 2)) (data.drop $d)
      (table.init $t $passive (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $passive)
      (drop (table.grow $t (ref.null func) (i32.const 1)))
      (call_indirect $t (type $binary) (i32.const 2) (i32.const 0))
      (select (i32.const 1) (i32.trunc_sat_f64_s (f64.const 2.5))) )
    (func (param f32) (result f32) (return_call 5 (f32.sqrt (local.get 0))))
    (func (param f32) (result f32) (f32.add (f32.const 1) (local.get 0))))`,
  `(module (tag $t (param i32)) (func $throw (param i32) (throw $t (local.get 0)))
    (func (export "legacy") (result i32) (try (result i32) (do (call $throw (i32.const 7)) (i32.const 0)) (catch $t) (catch_all (rethrow 0))))
    (func (export "delegated") (try (do (try (do (throw $t (i32.const 1))) (delegate 0))) (catch_all))))`,
  `(module (tag $t (param i32)) (func $throw (throw $t (i32.const 1)))
    (func (export "caught") (result i32)
      (block $h (result i32) (try_table (catch $t $h) (call $throw)) (i32.const 3)))
    (func (export "reference") (block $h (result exnref) (try_table (catch_all_ref $h) (call $throw)) (return)) (throw_ref)))`,
  `(module (memory 1) (func (export "vector") (param v128) (result i32)
    (v128.store (i32.const 0) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 (local.get 0) (v128.const i32x4 1 2 3 4)))
    (v128.store32_lane 1 (i32.const 16) (local.get 0))
    (i32x4.extract_lane 2 (i32x4.add (v128.load (i32.const 0)) (f32x4.sqrt (i32x4.splat (i32.const 9)))))))`,
];

/** Numbers from 0 up to `below`, the same in every run. */
function randomNumbers(): (below: number) => number {
  let state = 20_240_229;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
}

function mutate(original: Uint8Array<ArrayBuffer>, random: (below: number) => number): Uint8Array<ArrayBuffer> {
  const bytes = original.slice();
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(bytes.length);
    const kind = random(4);
    if (kind === 0) bytes[at] = random(256);
    else if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    else if (kind === 2) bytes[at] = ((bytes[at] ?? 0) + (random(2) === 0 ? 1 : 255)) & 0xff;
    else bytes.copyWithin(at, random(bytes.length), random(bytes.length));
  }
  return bytes;
}

/** Refuses with a SandboxError, or keeps a valid module valid and an invalid one invalid. */
function holds(bytes: Uint8Array<ArrayBuffer>, what: string): "refused" | "valid" | "invalid" {
  const valid = WebAssembly.validate(bytes);
  let rewritten: Uint8Array<ArrayBuffer>;
  try {
    rewritten = rewrite(bytes, limits).bytes;
  } catch (error) {
    assert.ok(error instanceof SandboxError, `${what}: ${error instanceof Error ? error.stack : error}`);
    return "refused";
  }
  assert.equal(WebAssembly.validate(rewritten), valid, `${what}: ${Buffer.from(bytes).toString("base64")}`);
  return valid ? "valid" : "invalid";
}

describe("modules with bytes changed at random", () => {
  it("are refused, or stay as valid or invalid as they were", async () => {
    const random = randomNumbers();
    const seen = { refused: 0, valid: 0, invalid: 0 };
    for (const [index, text] of texts.entries()) {
      const original = await assemble(`module-${index}`, text);
      assert.equal(holds(original, `module ${index}`), "valid");
      for (let round = 0; round < 4_000; round++)
        seen[holds(mutate(original, random), `module ${index}, round ${round}`)]++;
    }
    for (const [what, count] of Object.entries(seen)) assert.ok(count > 500, `${count} ${what}`);
  });

  it("are so when a compiler made them, too", async () => {
    const random = randomNumbers();
    const original = await compileGuests();
    assert.equal(holds(original, "the guests"), "valid");
    for (let round = 0; round < 300; round++) holds(mutate(original, random), `round ${round}`);
  });
});

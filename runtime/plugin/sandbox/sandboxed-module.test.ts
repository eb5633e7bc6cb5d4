import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assemble } from "../../../test/support/wat.ts";
import { sha256 } from "./compiler.ts";
import { rewrite } from "./rewrite.ts";
import { rewriterVersion } from "./sandboxed-module.ts";

const sample = `(module
  (import "host" "log" (func $log (param i32)))
  (memory (export "memory") 1) (table 2 funcref) (global $g (mut i64) (i64.const -5))
  (elem (i32.const 0) $run) (data (i32.const 8) "text")
  (func $run (export "run") (param i32) (result i32) (local i64 f64)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 0) (local.get 0))
      (call $log (i32.load offset=4 (local.get 0)))
      (br_if $again (i32.const -1) (memory.grow) (i32.eqz)))
    (if (local.get 0) (then (drop (table.grow (ref.null func) (i32.const 1)))))
    (drop (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
    (i32.const 1000)))`;

describe("the version of the rewriter", () => {
  it("is another when a module is rewritten otherwise: bump it, and write the new digest here", async () => {
    const limits = { memoryBytes: 4 << 16, tableEntries: 100, startFuel: 10_000 };
    const { bytes } = rewrite(await assemble("sample", sample), limits);
    assert.deepEqual(
      [rewriterVersion, await sha256(bytes)],
      [1, "sha256:b868e34137afc6d0e00b970649c86a3d866e914ac42f6c98f12ccf7cd6d1fd67"],
    );
  });
});

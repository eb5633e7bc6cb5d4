import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assemble } from "../../test/support/wat.ts";
import { packManifest, unpackManifest, withoutManifest } from "./packed-manifest.ts";
import { frameProblem } from "./wasm-sections.ts";

const module = await assemble(
  "answer",
  '(module (memory 1) (data (i32.const 0) "abc") (func (export "answer") (result i32) (i32.const 42)))',
);
const manifest = "name: orders\nversion: 1.2.0\n";
const packed = packManifest(module, manifest);

describe("a manifest inside its module", () => {
  it("comes out as it went in, and the module still runs", () => {
    assert.deepEqual(unpackManifest(packed), { manifest, problem: undefined });
    const { answer } = new WebAssembly.Instance(new WebAssembly.Module(packed)).exports;
    assert.equal(typeof answer === "function" && answer(), 42);
    assert.equal(unpackManifest(module), undefined);
  });

  it("takes the place of one that is inside already", () => {
    const again = packManifest(packed, "name: other\n");
    assert.deepEqual(unpackManifest(again), { manifest: "name: other\n", problem: undefined });
    assert.equal(unpackManifest(packManifest(again, manifest))?.manifest, manifest);
    assert.deepEqual(packManifest(again, manifest), packed);
  });

  it("comes off again, and a module without one stays the same bytes", () => {
    assert.deepEqual(withoutManifest(packed), module);
    assert.equal(withoutManifest(module), module);
  });

  it("tells of every file that was cut off, also between two sections", () => {
    for (let length = 0; length < packed.length; length++) {
      const cut = packed.subarray(0, length);
      const problem = unpackManifest(cut)?.problem ?? frameProblem(cut);
      assert.equal(problem?.kind, "incomplete", `cut off after ${length} bytes`);
    }
  });

  it("tells of a module that is not the one it was packed with", () => {
    const changed = packed.slice();
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    assert.equal(unpackManifest(changed)?.problem?.kind, "foreign");
    const longer = new Uint8Array([...packed, 0, 1, 0]);
    assert.equal(unpackManifest(longer)?.problem?.kind, "foreign");
  });
});

describe("the frame of a file", () => {
  it("is whole for modules and components", () => {
    assert.equal(frameProblem(module), undefined);
    assert.equal(frameProblem(new Uint8Array([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, 0, 1, 0])), undefined);
  });

  it("is foreign when the file is something else, however short", () => {
    assert.equal(frameProblem(new TextEncoder().encode("this is not a module"))?.kind, "foreign");
    assert.equal(frameProblem(new Uint8Array([0x7f]))?.kind, "foreign");
  });

  it("is incomplete when a section is not all there, and says so", () => {
    assert.match(frameProblem(new Uint8Array())?.message ?? "", /the file is empty/);
    assert.match(
      frameProblem(module.subarray(0, module.length - 1))?.message ?? "",
      /needs \d+ bytes, the file has \d+/,
    );
    assert.equal(frameProblem(module.subarray(0, 8))?.kind, "incomplete");
  });
});

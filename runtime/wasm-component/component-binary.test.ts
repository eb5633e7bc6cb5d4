import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assembleComponent, componentGuest } from "../../test/support/component-guests.ts";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { readComponent } from "./component-binary.ts";

const refused =
  (message: RegExp) =>
  (error: unknown): boolean =>
    error instanceof SandboxError && message.test(error.message);

/** A component whose core module exports a function of that name, in the escapes of WAT. */
const naming = (name: string): Promise<Uint8Array<ArrayBuffer>> =>
  assembleComponent(`(component
    (core module $m (func (export "${name}") (result i32) i32.const 7))
    (core instance $i (instantiate $m))
    (func (export "run") (result u32) (canon lift (core func $i "${name}"))))`);

describe("what a component shows", () => {
  it("is what it takes and gives, and what core modules are in it", async () => {
    const bytes = await assembleComponent(`(component
      (import "test:guest/store@1.2.0" (instance $store (export "get" (func (result u32)))))
      (core module $m
        (import "store" "get" (func $get (result i32)))
        (memory (export "memory") 3)
        (func (export "twice") (result i32) (i32.add (call $get) (call $get))))
      (core func $get (canon lower (func $store "get")))
      (core instance $i (instantiate $m (with "store" (instance (export "get" (func $get))))))
      (func $twice (result u32) (canon lift (core func $i "twice")))
      (instance $doubling (export "twice" (func $twice)))
      (export "test:guest/doubling@1.2.0" (instance $doubling))
      (export "twice" (func $twice)))`);
    const outline = readComponent(bytes);
    assert.deepEqual(outline.imports, [{ name: "test:guest/store@1.2.0", kind: "interface" }]);
    assert.deepEqual(outline.exports, [
      { name: "test:guest/doubling@1.2.0", kind: "interface" },
      { name: "twice", kind: "function" },
    ]);
    assert.equal(outline.coreModules.length, 1);
    assert.equal(outline.memoryPages, 3);
  });

  it("is found in what compilers make", async () => {
    const bytes = await componentGuest({
      source: "export const add = (a, b) => a + b;",
      wit: "package outrigger:test; world adding { export add: func(a: u32, b: u32) -> u32; }",
      world: "adding",
    });
    const { imports, exports, coreModules } = readComponent(bytes);
    assert.ok(imports.some(({ name }) => /^wasi:io\/streams@0\.2\.\d+$/.test(name)));
    assert.ok(exports.some(({ name, kind }) => name === "add" && kind === "function"));
    assert.ok(coreModules.length > 3);
  });

  it("is refused where a name could end a string in generated code", async () => {
    for (const name of [
      "a'+(globalThis.broken=1)+'",
      'a\\"b',
      "a`b",
      "a\\\\",
      "a${b}",
      "a*/b",
      "a\\nb",
      "a\\e2\\80\\a8b",
      "__proto__",
    ])
      await assert.rejects(naming(name).then(readComponent), refused(/characters that are not allowed/), name);
    const imported = await assembleComponent(
      `(component (core module (import "a'b" "c" (func)) (import "d" "e'f" (func))))`,
    );
    assert.throws(() => readComponent(imported), refused(/characters that are not allowed/));
    const nested = await assembleComponent(`(component (component (component (core module (func (export "a'b"))))))`);
    assert.throws(() => readComponent(nested), refused(/characters that are not allowed/));
    readComponent(await naming("cm32p2|wasi:io/poll@0.2|[method]pollable.block_post"));
  });

  it("is refused when it is no component, or more is in it than should be", async () => {
    assert.throws(() => readComponent(new Uint8Array(8)), refused(/not a WebAssembly component/));
    const modules = await assembleComponent(`(component ${"(core module)".repeat(65)})`);
    assert.throws(() => readComponent(modules), refused(/more than 64 core modules/));
    const nested = await assembleComponent(`${"(component ".repeat(18)}${")".repeat(18)}`);
    assert.throws(() => readComponent(nested), refused(/nested more than 16 deep/));
  });

  it("never runs past its end, wherever it is cut off or changed", async () => {
    const bytes = await naming("run");
    for (let length = 0; length < bytes.length; length++) attempt(bytes.subarray(0, length));
    for (let index = 0; index < bytes.length; index++) attempt(bytes.with(index, (bytes[index] ?? 0) ^ 0xff));
  });
});

/** Reads, or refuses with a sentence. */
function attempt(bytes: Uint8Array): void {
  try {
    readComponent(bytes);
  } catch (error) {
    assert.ok(error instanceof SandboxError, String(error));
  }
}

/** Programs that compilers made, in the sandbox and out of it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import wabt from "wabt";
import { compileGuests, guestImports, guestNames, interceptModules } from "../../../test/bench/guests/compile.ts";
import { rewrite } from "./rewrite.ts";
import { fuelGauge, type SandboxLimits } from "./sandboxed-module.ts";

const limits: SandboxLimits = { memoryBytes: 256 << 20, tableEntries: 10_000, startFuel: 1e12 };

function call(instance: WebAssembly.Instance, name: string, size: number): unknown {
  const exported = instance.exports[name];
  assert.ok(typeof exported === "function");
  return Reflect.apply(exported, undefined, [size]);
}

describe("guests written in AssemblyScript", () => {
  it("compute the same metered, and cost the same each time", async () => {
    const bytes = await compileGuests();
    const plain = new WebAssembly.Instance(new WebAssembly.Module(bytes), guestImports);
    const rewritten = new WebAssembly.Module(rewrite(bytes, limits).bytes);
    const metered = [1, 2].map(() => new WebAssembly.Instance(rewritten, guestImports));
    for (const name of guestNames) {
      const size = name === "trees" ? 7 : 20;
      const expected = call(plain, name, size);
      const used = metered.map((instance) => {
        const gauge = fuelGauge(instance);
        gauge.set(1e12);
        assert.equal(call(instance, name, size), expected, name);
        return 1e12 - gauge.get();
      });
      assert.ok((used[0] ?? 0) > 100, `${name} used ${used[0]}`);
      assert.equal(used[0], used[1], name);
    }
  });
});

describe("a C++ program of half a megabyte", () => {
  it("assembles in the sandbox what it assembles outside of it", async () => {
    const text = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))';
    const assembleWith = async (replace: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>) => {
      const tools = await interceptModules(() => wabt(), replace);
      const module = tools.parseWat("add.wat", text);
      return Buffer.from(module.toBinary({}).buffer);
    };
    let replaced = 0;
    const inSandbox = await assembleWith((bytes) => {
      replaced++;
      return rewrite(bytes, limits).bytes;
    });
    assert.equal(replaced, 1);
    assert.deepEqual(inSandbox, await assembleWith((bytes) => bytes));
  });
});

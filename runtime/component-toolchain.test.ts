import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { describe, it } from "node:test";
import { assembleComponent } from "../test/support/component-guests.ts";
import { temporaryDirectory } from "../test/support/sidecar.ts";
import { ComponentToolchain } from "./component-toolchain.ts";
import { digestOf } from "./plugin/digest.ts";
import { packManifest } from "./plugin/packed-manifest.ts";
import { SandboxCompiler } from "./plugin/sandbox/compiler.ts";
import { isComponent, type SandboxedComponent } from "./plugin/sandbox/sandboxed-component.ts";

const limits = { memoryBytes: 64 << 20, tableEntries: 10_000, startFuel: 100_000_000 };

describe("what components are compiled by", () => {
  it("transpiles a component once, whatever manifest is packed into it, and tells each by its own digest", async () => {
    const bare = await assembleComponent(`(component
      (core module $m (memory 1) (func (export "run") (param i32) (result i32) (local.get 0)))
      (core instance $i (instantiate $m))
      (func (export "run") (param "value" u32) (result u32) (canon lift (core func $i "run"))))`);
    const packed = ["1.0.0", "2.0.0"].map((version) => packManifest(bare, `name: web\nversion: ${version}\n`));
    await using directory = await temporaryDirectory();
    await using modules = new SandboxCompiler();
    const compileAll = async (): Promise<SandboxedComponent[]> => {
      await using toolchain = new ComponentToolchain(modules, directory.path);
      const all: SandboxedComponent[] = [];
      for (const bytes of [...packed, bare]) {
        const digest = digestOf(bytes);
        const compiled = await toolchain.compile(bytes, limits, digest);
        assert.ok(isComponent(compiled));
        assert.deepEqual([compiled.digest, compiled.originalBytes], [digest, bytes.length]);
        all.push(compiled);
      }
      return all;
    };
    const first = await compileAll();
    assert.equal(new Set(first.map(({ cores }) => cores)).size, 1, "one component for all");
    const kept = await readdir(directory.path);
    await compileAll();
    assert.deepEqual(await readdir(directory.path), kept, "after a restart, too");
  });
});

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { assembleComponent } from "../../test/support/component-guests.ts";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import { inspect } from "./inspect.ts";
import { pack } from "./pack.ts";

/** Packs a component with a manifest and tells what is seen of it. */
async function inspected(text: string): Promise<{ code: number; seen: Readonly<Record<string, unknown>> }> {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "shop.wasm");
  await writeFile(file, await assembleComponent(text));
  await writeFile(join(directory.path, "shop.yaml"), "name: shop\nversion: 1.2.0\nkind: service\n");
  let shown = "";
  const out = (line: string): void => {
    shown = line;
  };
  await pack(file, { manifest: undefined, output: undefined }, { out });
  const code = await inspect(file, { json: true, plugins: undefined }, { out });
  return { code, seen: JSON.parse(shown) };
}

describe("outrigger inspect and pack, of components", () => {
  it("tell what a component takes and gives, and what in it this host does not have", async () => {
    const { code, seen } = await inspected(`(component
      (import "test:guest/store@1.0.0" (instance))
      (import "wasi:io/poll@0.2.3" (instance))
      (core module $m (memory 2) (func (export "run")))
      (core instance $i (instantiate $m))
      (func $run (canon lift (core func $i "run")))
      (instance $shop (export "run" (func $run)))
      (export "test:guest/shop@1.0.0" (instance $shop)))`);
    assert.equal(code, 1);
    assert.equal(seen["name"], "shop");
    assert.deepEqual(seen["imports"], { "test:guest": ["store@1.0.0"], "wasi:io": ["poll@0.2.3"] });
    assert.deepEqual(seen["exports"], ["test:guest/shop@1.0.0"]);
    assert.deepEqual(seen["missing"], ["test:guest/store@1.0.0"]);
    assert.deepEqual(seen["memory"], { minimumPages: 2 });
    const problems = String(seen["problems"]);
    assert.match(problems, /it exports none of .*wasi:http\/incoming-handler/);
    assert.match(problems, /imports what this host does not have: test:guest\/store@1\.0\.0/);
  });

  it("tell of a component that nothing calls as what its manifest says it is", async () => {
    const filter = '(component (instance $i) (export "outrigger:runtime/filter@0.1.0" (instance $i)))';
    const { code, seen } = await inspected(filter);
    assert.equal(code, 1);
    assert.match(
      String(seen["problems"]),
      /it is a service by its manifest, and exports nothing that a service is called by/,
    );
  });

  it("refuse a component with names that would run as code", async () => {
    const hostile = inspected(`(component (core module (func (export "a'+b+'"))))`);
    await assert.rejects(hostile, /not a valid module: a name has characters that are not allowed/);
  });
});

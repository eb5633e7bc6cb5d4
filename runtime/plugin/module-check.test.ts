import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { moduleOf } from "../../test/support/module-bytes.ts";
import { makeArtifact } from "./artifact.ts";
import { digestInParts, digestOf } from "./digest.ts";
import { checkModule } from "./module-check.ts";
import { packManifest } from "./packed-manifest.ts";

const module = moduleOf(0x41, 1, 0x1a);

describe("a module that is read through in parts", () => {
  it("has the digest that it has when it is read at once, whatever its size", async () => {
    for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
      const bytes = new Uint8Array(length).fill(length);
      assert.equal(await digestInParts(bytes), digestOf(bytes));
    }
  });

  it("is told of as an artifact tells of it, whole, cut off, changed, or nothing of the kind", async () => {
    const packed = packManifest(module, "name: orders\n");
    const changed = packed.slice();
    changed.set([0xff], changed.length - 1);
    const kinds = new Set<string | undefined>();
    for (const bytes of [module, packed, packed.subarray(0, -1), packed.subarray(0, 20), changed, new Uint8Array(9)]) {
      const { digest, problem } = makeArtifact(bytes, "orders.wasm", { text: "name: orders", path: "orders.yaml" });
      assert.deepEqual(await checkModule(bytes), { digest, problem });
      kinds.add(problem?.kind);
    }
    assert.deepEqual([...kinds], [undefined, "incomplete", "foreign"]);
  });

  it("lets others have their turn in between", async () => {
    const turns: string[] = [];
    setImmediate(() => turns.push("another"));
    await checkModule(new Uint8Array(200_000)).then(() => turns.push("read"));
    assert.deepEqual(turns, ["another", "read"]);
  });

  it("keeps a digest that was taken of it before", async () => {
    assert.equal((await checkModule(module, "sha256:known")).digest, "sha256:known");
  });
});

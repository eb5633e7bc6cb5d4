import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { runCli } from "../../test/support/cli.ts";
import { moduleOf } from "../../test/support/module-bytes.ts";
import { digestOf } from "../../test/support/push.ts";
import { unpackManifest } from "../plugin/packed-manifest.ts";

describe("outrigger pack", () => {
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-pack-"));
    file = join(directory, "orders.wasm");
    await writeFile(file, moduleOf());
  });
  afterEach(() => rm(directory, { recursive: true }));
  const manifestIn = async (path: string): Promise<string | undefined> =>
    unpackManifest(await readFile(path))?.manifest;

  it("puts the manifest beside a module into it, in place, and the module stays valid", async () => {
    await writeFile(join(directory, "orders.yaml"), "name: orders\nversion: 1.2.0\n");
    const { code, out } = await runCli(["pack", file]);
    const packed = await readFile(file);
    assert.equal(out, `${file}: orders 1.2.0, ${packed.length} bytes, ${digestOf(packed)}`);
    assert.equal(code, 0);
    assert.equal(await manifestIn(file), "name: orders\nversion: 1.2.0\n");
    assert.ok(WebAssembly.validate(packed));
    assert.deepEqual(await readdir(directory), ["orders.wasm", "orders.yaml"]);
  });

  it("takes another manifest and another file, and replaces what was packed before", async () => {
    const manifest = join(directory, "other.yaml");
    const output = join(directory, "out.wasm");
    for (const version of ["1.0.0", "2.0.0"]) {
      await writeFile(manifest, `name: orders\nversion: ${version}\n`);
      const { code, err } = await runCli(["pack", file, "--manifest", manifest, "-o", output]);
      assert.deepEqual([code, err], [0, ""]);
      assert.match((await manifestIn(output)) ?? "", new RegExp(version));
    }
    assert.equal(await manifestIn(file), undefined);
    assert.equal((await runCli(["pack", output])).code, 0, "the one inside will do");
    assert.deepEqual(await readFile(file), Buffer.from(moduleOf()));
  });

  it("says what is wrong, and leaves the file as it was", async () => {
    const none = await runCli(["pack", file]);
    assert.deepEqual([none.code, none.err], [1, `there is no manifest beside ${file}; name one with --manifest`]);
    const manifest = join(directory, "orders.yaml");
    await writeFile(manifest, "name: orders\nkindd: filter\nlimits: {memroy: 1}\n");
    const wrong = await runCli(["pack", file]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /has 2 mistakes: .*did you mean 'memory'\?.*did you mean 'kind'\?/);
    await writeFile(manifest, "name: orders\n");
    const invalid = moduleOf(0x1a);
    for (const [bytes, message] of [
      [moduleOf().subarray(0, 24), /the section at byte \d+ needs \d+ bytes/],
      [Buffer.from("no module"), /not WebAssembly/],
      [invalid, /is not a valid module: /],
    ] as const) {
      await writeFile(file, bytes);
      const { code, err } = await runCli(["pack", file]);
      assert.equal(code, 1);
      assert.match(err, message);
      assert.deepEqual(await readFile(file), Buffer.from(bytes));
    }
    assert.equal((await runCli(["pack"])).code, 2);
    assert.equal((await runCli(["pack", join(directory, "absent.wasm")])).code, 1);
  });
});

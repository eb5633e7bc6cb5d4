import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { buildPlugin, buildPlugins } from "../../scripts/build-plugins.ts";
import { temporaryDirectory } from "./plugin-sdk-guest.ts";
import { plugins } from "./plugin-sdk-scene.ts";

describe("building plugins", () => {
  test("does nothing when everything is current", async () => {
    await buildPlugins();
    assert.deepEqual(await buildPlugins(), []);
  });

  test("tells where a source is wrong", async () => {
    await using folder = await temporaryFolder({ "index.ts": "export const one: string = 1;\n" });
    await assert.rejects(buildPlugin(folder.path, { out: join(folder.path, "out.wasm") }), /index\.ts\(1,28\)/);
  });

  test("compiles what the READMEs show", async () => {
    const sources: Record<string, string> = {};
    for (const readme of ["README.md", "sdk/README.md"]) {
      const text = await readFile(join(plugins, readme), "utf8");
      for (const [, code = ""] of text.matchAll(/```ts\n(.*?)```/gs))
        sources[`s${Object.keys(sources).length}.ts`] = code;
    }
    const names = Object.keys(sources);
    assert.equal(names.length, 3);
    const index = names.map((name) => `import "./${name.slice(0, -3)}";\n`).join("");
    await using folder = await temporaryFolder({ ...sources, "index.ts": index });
    await buildPlugin(folder.path, { out: join(folder.path, "out.wasm") });
  });

  /** A folder of a plugin, where the library can be found. */
  async function temporaryFolder(
    sources: Readonly<Record<string, string>>,
  ): Promise<AsyncDisposable & { readonly path: string }> {
    const parent = join(plugins, "sdk/test-plugin/build");
    await mkdir(parent, { recursive: true });
    const directory = await temporaryDirectory(parent);
    const settings = { extends: "@outrigger/plugin/asconfig.json", entries: ["./assembly/index.ts"] };
    await writeFile(join(directory.path, "asconfig.json"), JSON.stringify(settings));
    await mkdir(join(directory.path, "assembly"));
    for (const [name, code] of Object.entries(sources)) await writeFile(join(directory.path, "assembly", name), code);
    return directory;
  }
});

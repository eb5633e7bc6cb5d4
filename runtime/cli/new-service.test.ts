import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { startCommand } from "../../test/support/outrigger-command.ts";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import { parseManifest } from "../plugin/manifest.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

const run = (directory: string, ...parameters: string[]) => startCommand(["new", ...parameters], { directory }).ended;

describe("outrigger new service", () => {
  it("writes a project that has the name everywhere, the kit without its tests, and the WIT of the sidecar", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    const { code, out, err } = await run(path, "service", "price-list");
    assert.deepEqual([code, err], [0, ""]);
    assert.equal(out, "wrote price-list; next: cd price-list && npm install && npm test && npm run build\n");
    const project = join(path, "price-list");
    const files = (await readdir(project, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const texts = files.map(({ parentPath, name }) => readFile(join(parentPath, name), "utf8"));
    assert.doesNotMatch((await Promise.all(texts)).join("\n"), /service-name/);
    const names = files.map(({ name }) => name);
    for (const name of [
      "price-list.ts",
      "price-list.test.ts",
      "price-list.yaml",
      ".gitignore",
      "outrigger.wit",
      "build.ts",
    ])
      assert.ok(names.includes(name), name);
    assert.deepEqual(
      names.filter((name) => name.includes("service-name") || name === "gitignore"),
      [],
    );
    assert.deepEqual(globSync("kit/**/*.test.ts", { cwd: project }), []);
    const manifest = parseManifest(await readFile(join(project, "price-list.yaml"), "utf8"), "the template", "none");
    assert.deepEqual([manifest.name, manifest.kind], ["price-list", "service"]);
  });

  it("takes the versions of its tools that this checkout has", async () => {
    const { devDependencies, overrides } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    for (const template of ["service", "http"]) {
      const file = join(root, "wasm-plugins/template", template, "package.json");
      const written = JSON.parse(await readFile(file, "utf8"));
      for (const [name, version] of Object.entries(written.devDependencies))
        assert.equal(version, devDependencies[name], name);
      assert.deepEqual(written.overrides, overrides);
    }
  });

  it("writes another project for wasi:http, into an empty folder too", async () => {
    await using directory = await temporaryDirectory();
    await mkdir(join(directory.path, "web"));
    assert.equal((await run(directory.path, "service", "web", "--http", "--language", "typescript")).code, 0);
    assert.match(
      await readFile(join(directory.path, "web/wit/world.wit"), "utf8"),
      /export wasi:http\/incoming-handler/,
    );
  });

  it("changes nothing in a folder that has something in it", async () => {
    await using directory = await temporaryDirectory();
    const folder = join(directory.path, "orders");
    await mkdir(folder);
    await writeFile(join(folder, "notes.txt"), "mine");
    const { code, err } = await run(directory.path, "service", "orders");
    assert.deepEqual([code, err], [1, "the folder orders is not empty; nothing was changed\n"]);
    assert.deepEqual(await readdir(folder), ["notes.txt"]);
    await writeFile(join(directory.path, "file"), "");
    assert.deepEqual(await run(directory.path, "service", "file"), {
      code: 1,
      out: "",
      err: "file cannot be written to (ENOTDIR); nothing was changed\n",
    });
  });

  it("refuses names, languages and kinds that are none, with a sentence", async () => {
    await using directory = await temporaryDirectory();
    for (const [parameters, message] of [
      [["service", "Orders"], /'Orders' is no name for a service; expected .* such as price-list/],
      [["service", "../up"], /'..\/up' is no name/],
      [["service", "1st"], /'1st' is no name/],
      [["service", "a-"], /'a-' is no name/],
      [["service", "a".repeat(65)], /is no name/],
      [["service"], /new needs service NAME/],
      [["filter", "x"], /there is no new 'filter'; expected service/],
      [["service", "x", "--language", "cobol"], /there is no template in 'cobol'; expected typescript/],
    ] as const) {
      const { code, err } = await run(directory.path, ...parameters);
      assert.equal(code, 2, parameters.join(" "));
      assert.match(err, message);
    }
    assert.deepEqual(await readdir(directory.path), ["plugins"], "nothing was written");
  });
});

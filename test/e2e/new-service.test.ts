/** `outrigger new service`: what it writes is checked, tested and built as its README says, and the result is one file. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { unpackManifest } from "../../runtime/plugin/packed-manifest.ts";
import { temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

describe("a project that outrigger new wrote", () => {
  const open = new AsyncDisposableStack();
  let directory = "";
  let env: NodeJS.ProcessEnv = {};
  before(async () => {
    directory = open.use(await temporaryDirectory()).path;
    const commands = join(directory, "bin");
    await mkdir(commands);
    const outrigger = join(commands, "outrigger");
    await writeFile(outrigger, `#!/bin/sh\nexec "${process.execPath}" "${join(root, "runtime/main.ts")}" "$@"\n`);
    await chmod(outrigger, 0o755);
    // A test runner that believes it is part of another one says nothing.
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
    env = { ...environment, PATH: [commands, dirname(process.execPath), process.env.PATH].join(delimiter) };
  });
  after(() => open.disposeAsync());

  /** Writes the project; what `npm install` would bring is there already. */
  async function write(name: string, ...options: string[]): Promise<string> {
    await run("outrigger", ["new", "service", name, ...options], { cwd: directory, env });
    const project = join(directory, name);
    await symlink(join(root, "node_modules"), join(project, "node_modules"));
    return project;
  }

  const npm = (project: string, ...words: string[]) => run("npm", ["run", "--silent", ...words], { cwd: project, env });

  it("passes its tests, and becomes a component with its manifest inside", async () => {
    const project = await write("price-list");
    assert.match((await npm(project, "test")).stdout, /pass 5/);
    const { stdout } = await npm(project, "build");
    const built = join(project, "build/price-list.wasm");
    assert.equal(stdout, `built ${built}\n`);
    const bytes = await readFile(built);
    assert.deepEqual([...bytes.subarray(0, 8)], [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], "it is a component");
    assert.ok(bytes.length < 2_000_000, `${bytes.length} bytes`);
    const packed = unpackManifest(bytes);
    assert.equal(packed?.manifest, await readFile(join(project, "price-list.yaml"), "utf8"));
    assert.equal(packed?.problem, undefined);
  });

  it("is told of a global that the engine does not have, and of a wrong type, before anything is built", async () => {
    const project = await write("mistaken");
    const source = join(project, "src/mistaken.ts");
    const good = await readFile(source, "utf8");
    for (const [line, message] of [
      ["setTimeout(() => {}, 1);", /src\/mistaken\.ts\(\d+,1\): error TS2304: Cannot find name 'setTimeout'/],
      [
        "export const unit: number = configuration();",
        /error TS2322: Type 'string' is not assignable to type 'number'/,
      ],
    ] as const) {
      await writeFile(source, `${good}\n${line}\n`);
      await assert.rejects(npm(project, "build"), { code: 1, stderr: message });
    }
  });

  it("passes its tests and the check of its types for wasi:http, too", async () => {
    const project = await write("web", "--http");
    assert.match((await npm(project, "test")).stdout, /pass 3/);
    const { checkTypes } = await import(join(project, "kit/build.ts"));
    await checkTypes({ folder: project });
  });
});

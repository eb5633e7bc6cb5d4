/** `outrigger new service`: what it writes is tested, built and deployed as docs/guides/writing-components.md says. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse } from "yaml";
import { unpackManifest } from "../../runtime/plugin/packed-manifest.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

const blocksOf = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(([, block = ""]) => block);

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

  it("goes from nothing to an answer by the commands of the guide", async () => {
    const guide = await readFile(join(root, "docs/guides/writing-components.md"), "utf8");
    const [commands = "", asking = ""] = blocksOf(guide, "console");
    const [configuration = ""] = blocksOf(guide, "yaml");
    await using place = await temporaryDirectory();
    await using sidecar = await startSidecar(place.path, parse(configuration));
    const typed = commands.replaceAll(/^\$ /gm, "").replace("npm install", `ln -s "${join(root, "node_modules")}" .`);
    const { stdout } = await run("sh", ["-euc", typed], {
      cwd: directory,
      env: { ...env, OUTRIGGER_ADMIN: sidecar.admin },
    });
    assert.match(stdout, /pass 5/);
    const bytes = await readFile(join(directory, "price-list/build/price-list.wasm"));
    assert.deepEqual([...bytes.subarray(0, 8)], [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], "it is a component");
    assert.ok(bytes.length < 2_000_000, `${bytes.length} bytes`);
    assert.equal(unpackManifest(bytes)?.problem, undefined);
    assert.match(unpackManifest(bytes)?.manifest ?? "", /^name: price-list$/m);
    const [, question = "", answer = ""] = /^\$ (curl .*)\n(.*)$/m.exec(asking) ?? [];
    const asked = await run("sh", ["-euc", question.replace("127.0.0.1:2045", sidecar.ingress)]);
    assert.equal(asked.stdout, answer);
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

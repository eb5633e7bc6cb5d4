/** What wasm-plugins/sdk/README.md tells an author to do, from the package that npm packs to a plugin that serves. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse } from "yaml";
import { serve } from "../integration/ingress-rig.ts";
import { ask } from "../support/http.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const library = join(root, "wasm-plugins/sdk");
const run = promisify(execFile);

test("the package and the README give a plugin that serves", async () => {
  const readme = await readFile(join(library, "README.md"), "utf8");
  const first = (language: string, at = 0): string =>
    [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))][at]?.[1] ?? "";
  await using directory = await temporaryDirectory();
  const { path } = directory;

  await run("npm", ["pack", "--pack-destination", path], { cwd: library });
  const [archive = ""] = (await readdir(path)).filter((name) => name.endsWith(".tgz"));
  await mkdir(join(path, "node_modules/@outrigger"), { recursive: true });
  await run("tar", ["-xzf", archive, "-C", "node_modules/@outrigger"], { cwd: path });
  await rename(join(path, "node_modules/@outrigger/package"), join(path, "node_modules/@outrigger/plugin"));
  assert.deepEqual((await readdir(join(path, "node_modules/@outrigger/plugin"))).sort(), [
    "README.md",
    "asconfig.json",
    "assembly",
    "entry.ts",
    "examples",
    "index.ts",
    "package.json",
  ]);

  await writeFile(join(path, "asconfig.json"), first("json"));
  await mkdir(join(path, "assembly"));
  await writeFile(join(path, "assembly/index.ts"), first("ts"));
  assert.ok(readme.includes("$ npx asc --config asconfig.json\n"));
  await run(process.execPath, [join(root, "node_modules/.bin/asc"), "--config", "asconfig.json"], { cwd: path });

  await writeFile(join(path, "plugins/whoami.yaml"), first("yaml"));
  await copyFile(join(path, "build/whoami.wasm"), join(path, "plugins/whoami.wasm"));
  const configuration = parse(first("yaml", 1)) as { app: object; ingress: object };
  await using application = await serve((_, response) => response.end("served"));
  await using sidecar = await startSidecar(path, {
    ...configuration,
    app: { ...configuration.app, http: application.address },
    ingress: { ...configuration.ingress, http: "127.0.0.1:0" },
  });
  const refused = await ask(sidecar.ingress, "/");
  assert.equal(refused.status, 401);
  assert.equal(refused.text, "who are you?\n");
  assert.equal((await ask(sidecar.ingress, "/", { headers: { "x-user": "ada" } })).text, "served");
});

/** Everything that README.md tells people to run, run as it stands there against the demo. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { demoConfiguration, deploy } from "../support/demo.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

let sidecar: Sidecar;
const open = new AsyncDisposableStack();
before(async () => {
  const directory = open.use(await temporaryDirectory());
  for (const plugin of ["rate-limit", "inventory", "pricing"]) await deploy(directory.path, plugin);
  sidecar = open.use(await startSidecar(directory.path, await demoConfiguration()));
});
after(() => open.disposeAsync());

const snippets = async (language: string): Promise<string[]> => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm"))].map(([, code = ""]) => code);
};

/** The demo's addresses in place of the default ones. */
const here = (code: string): string =>
  code.replaceAll("127.0.0.1:2045", sidecar.ingress).replaceAll("127.0.0.1:34999", sidecar.admin);

test("the shell snippets do what the text around them says", async () => {
  const commands = (await snippets("sh")).filter((code) => code.includes("curl"));
  const outputs: string[] = [];
  for (const code of commands) outputs.push((await run("bash", ["-euc", here(code)])).stdout);
  const [stock = "", admin = ""] = outputs;
  assert.equal(commands.length, 2);
  assert.equal([...stock.matchAll(/"stock":(\d+)/g)].map(([, left]) => left).join(), "10,7,7");
  for (const part of [
    '"name":"inventory"',
    '"name":"rate-limit"',
    '"status":"UP"',
    "outrigger_ingress_requests_total",
  ]) {
    assert.ok(admin.includes(part), part);
  }
});

test("the TypeScript snippets run as they stand", async () => {
  const directory = join(root, "build", `readme-${process.pid}`);
  await mkdir(directory, { recursive: true });
  try {
    const written = await snippets("ts");
    assert.ok(written.length > 0);
    for (const [index, code] of written.entries()) {
      const file = join(directory, `snippet-${index}.ts`);
      await writeFile(file, code);
      const { stdout } = await run(process.execPath, [file], {
        env: { ...process.env, OUTRIGGER_GRPC_ADDRESS: sidecar.grpc },
      });
      assert.match(stdout, /apples: 3/);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("the two commands are the scripts of package.json", async () => {
  const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const named = (await snippets("sh")).flatMap((code) =>
    [...code.matchAll(/^npm (\S+)/gm)].map(([, script = ""]) => script),
  );
  assert.deepEqual(named, ["start", "test"]);
  for (const script of named) assert.equal(typeof scripts[script], "string");
});

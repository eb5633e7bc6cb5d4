/** The packages as npm makes them from what the builds leave, installed in empty folders. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, glob, mkdir, readdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { buildSidecar } from "../../scripts/build.ts";
import { buildSdk } from "../../sdk/build.ts";
import { ask, askUntil } from "../support/http.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { onFreePorts, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);
const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
/** The Node that runs the tests is the one that the user has. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };

/** Packs the folder and installs the archive in `<path>/user`, which has nothing else in it. Resolves to that folder. */
async function install(path: string, built: string, options: readonly string[]): Promise<string> {
  const { stdout } = await run("npm", ["pack", built, "--json", "--loglevel=error"], { cwd: path, env });
  const archive = Object.values(JSON.parse(stdout) as Record<string, { readonly filename: string }>)[0]?.filename ?? "";
  const user = join(path, "user");
  await mkdir(user);
  await writeFile(join(user, "package.json"), '{ "name": "user", "private": true, "type": "module" }');
  await run("npm", ["install", ...quiet, ...options, join(path, archive)], { cwd: user, env });
  return user;
}

async function answering(text: string): Promise<Uint8Array> {
  const guest = guestText((place) => ({
    on: {
      proxy_on_request_headers: `${drop(
        `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) ${place(text)} (i32.const 0) (i32.const 0) (i32.const -1))`,
      )} (i32.const 1)`,
    },
  }));
  return packManifest(await assemble("orders", guest), 'name: orders\nversion: "1"\nkind: service\n');
}

/** The process that a chain of processes has started: npx starts a shell, which starts the command. */
async function lastOf(first: number): Promise<number> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid="]);
  const children = new Map(
    stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number).reverse() as [number, number]),
  );
  let last = first;
  for (let child = children.get(last); child !== undefined; child = children.get(last)) last = child;
  return last;
}

test("the sidecar's package brings nothing but itself, and `npx outrigger start` serves until SIGTERM", async () => {
  await using directory = await temporaryDirectory();
  const built = join(directory.path, "dist");
  await buildSidecar(built);
  // Without a registry: there is nothing to be fetched.
  const user = await install(directory.path, built, ["--offline"]);
  assert.deepEqual(
    (await readdir(join(user, "node_modules"))).filter((name) => !name.startsWith(".")),
    ["outrigger"],
  );
  assert.deepEqual(await readdir(join(user, "node_modules/.bin")), ["outrigger"]);
  for await (const file of glob("node_modules/outrigger/{runtime/**/*.ts,**/*.node}", { cwd: user }))
    assert.fail(`${file} is in it`);
  await run("npx", ["outrigger", "new", "service", "orders-list"], { cwd: user, env });
  for (const file of [
    "src/orders-list.ts",
    "test/orders-list.test.ts",
    ".gitignore",
    "kit/build.ts",
    "wit/deps/http/types.wit",
  ])
    await access(join(user, "orders-list", file));

  const configuration = onFreePorts({
    plugins: { directory: "./plugins" },
    admin: { token: "open-sesame" },
    ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "orders" } }] },
  });
  await writeFile(join(user, "outrigger.yaml"), stringify(configuration));
  await mkdir(join(user, "plugins"));
  const child = spawn("npx", ["outrigger", "start"], { cwd: user, env, stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(child, "exit");
  let banner = "";
  for await (const line of createInterface({ input: child.stdout })) {
    banner = line;
    break;
  }
  const sidecar = await lastOf(child.pid ?? 0);
  using _ = { [Symbol.dispose]: () => child.exitCode === null && process.kill(sidecar, "SIGKILL") };
  const [, ingress = ""] = /ingress http:\/\/([^\s,]+)/.exec(banner) ?? [];
  const [, admin = ""] = /admin http:\/\/([^\s,]+)/.exec(banner) ?? [];
  const { status, text } = await ask(admin, "/v1/plugins", {
    method: "POST",
    headers: { authorization: "Bearer open-sesame", "content-type": "application/wasm" },
    body: await answering("deployed"),
  });
  assert.equal(status, 201, text);
  await askUntil(ingress, "/", (answer) => answer.text === "deployed");
  process.kill(sidecar, "SIGTERM");
  assert.deepEqual(await ended, [0, null]);
});

test("the SDK's package has types for those who install it", async () => {
  await using directory = await temporaryDirectory();
  const built = join(directory.path, "dist");
  buildSdk(built);
  const user = await install(directory.path, built, ["--prefer-offline"]);
  const program = `import { json, OutriggerClient, type Value } from "@outrigger/sdk";
await using client = new OutriggerClient({ address: "127.0.0.1:1" });
const saved: Promise<unknown> = client.state.save({ store: "orders", key: "apple", value: json({ stock: 3 }) });
export const found: Promise<Value | undefined> = saved.then(async () => (await client.state.get({ store: "orders", key: "apple" }))?.value);
`;
  const options = { strict: true, noEmit: true, module: "nodenext", target: "esnext", types: ["node"] };
  const tsc = (): Promise<unknown> => run(join(root, "node_modules/.bin/tsc"), ["--project", user], { cwd: user, env });
  await writeFile(join(user, "tsconfig.json"), JSON.stringify({ compilerOptions: options }));
  await writeFile(join(user, "index.ts"), program);
  await tsc();
  await writeFile(join(user, "index.ts"), program.replace('key: "apple", ', "key: 1, "));
  await assert.rejects(tsc(), { stdout: /Type 'number' is not assignable to type 'string'/ });
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { ask } from "../support/http.ts";
import { onFreePorts, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "runtime/main.ts");

test("SIGTERM drains: the request in flight is answered, new ones are refused, the exit code is 0", async () => {
  await using directory = await temporaryDirectory();
  let arrived: () => void = () => {};
  let release: () => void = () => {};
  const inFlight = new Promise<void>((resolve) => (arrived = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  await using application = createServer(async (_, response) => {
    arrived();
    await released;
    response.end("done");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => application.once("listening", resolve));
  const { port } = application.address() as AddressInfo;
  await using sidecar = await startSidecar(directory.path, {
    app: { id: "shop", http: `127.0.0.1:${port}` },
    ingress: { routes: [{ match: { prefix: "/" }, to: { app: true } }] },
  });
  const answer = ask(sidecar.ingress, "/slow");
  await inFlight;
  const ended = sidecar.stop("SIGTERM");
  await sidecar.logged(({ msg }) => msg.includes("draining"));
  await assert.rejects(async () => {
    for (;;)
      await ask(sidecar.ingress, "/new", { headers: { connection: "close" } }).then(({ status }) =>
        assert.equal(status, 503),
      );
  });
  release();
  assert.equal((await answer).text, "done");
  assert.deepEqual(await ended, { code: 0, signal: null });
});

test("SIGTERM to npm start drains the sidecar, ends npm with 0 and leaves no process", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "outrigger.yaml");
  await writeFile(file, stringify(onFreePorts({})));
  const npm = spawn("npm", ["start", "--silent", "--", "--config", file], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => npm.once("exit", resolve));
  const closed = new Promise((resolve) => npm.stdout.once("close", resolve));
  let said = "";
  const served = new Promise<void>((resolve) =>
    npm.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("serves:")) resolve();
    }),
  );
  await served;
  npm.kill("SIGTERM");
  assert.equal(await ended, 0);
  // Whoever still had the other end of the pipe would keep it open.
  await closed;
  const ingress = /ingress http:\/\/([^\s,]+)/.exec(said)?.[1] ?? assert.fail(said);
  await assert.rejects(ask(ingress, "/"), /ECONNREFUSED/);
});

test("a wrong configuration ends with code 2, tells every mistake, and starts nothing", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "outrigger.yaml");
  await writeFile(file, "app: { idd: a }\nlog: { level: loud }\n");
  for (const parameters of [
    ["start", "--config", file],
    ["check", file],
  ]) {
    const { code, output } = await run(parameters);
    assert.equal(code, 2);
    assert.match(output, /2 mistakes/);
    assert.match(output, /app\.idd \(line 1, column \d+\): unknown key; did you mean 'id'\?/);
    assert.match(output, /log\.level/);
    assert.doesNotMatch(output, /serves/);
  }
});

function run(parameters: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [main, ...parameters], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

/** Waiting for a rollout while the sidecar goes away and comes back. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startCommand } from "../support/outrigger-command.ts";
import { guestText } from "../support/proxy-wasm-guest.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const token = "open-sesame";

/** Versions 1 and 2 of `orders`, as `v1.wasm` and `v2.wasm` with their manifests. */
async function writeVersions(directory: string): Promise<void> {
  const guest = await assemble(
    "cli-wait",
    guestText(() => ({ on: {} })),
  );
  for (const version of ["1", "2"]) {
    await writeFile(join(directory, `v${version}.wasm`), guest);
    await writeFile(join(directory, `v${version}.yaml`), `name: orders\nversion: "${version}"\n`);
  }
}

test("a sidecar that restarts is waited for, and so is the trial that it goes on with", async () => {
  await using directory = await temporaryDirectory();
  await writeVersions(directory.path);
  const start = (http: string): Promise<Sidecar> =>
    startSidecar(directory.path, { admin: { http, token }, log: { level: "warn" } });
  await using first = await start("127.0.0.1:0");
  const environment = { OUTRIGGER_ADMIN: first.admin, OUTRIGGER_ADMIN_TOKEN: token };
  const run = (...parameters: string[]) => startCommand(parameters, { directory: directory.path, environment });
  using stable = run("deploy", "v1.wasm");
  assert.equal((await stable.ended).code, 0);

  using waiting = run("deploy", "v2.wasm", "--canary", "10", "--manual", "--wait", "--json");
  await waiting.wrote(/on trial with 10 %/);
  await first.stop("SIGKILL");
  await waiting.wrote(/the sidecar does not answer; waiting for it to come back/);
  await using _ = await start(first.admin);
  await waiting.wrote(/come back\n {2}2 is on trial with 10 % of the streams, to be promoted by hand\n/);
  using promote = run("promote", "orders");
  assert.equal((await promote.ended).code, 0);
  const { code, out } = await waiting.ended;
  assert.deepEqual([code, JSON.parse(out).version], [0, "2"]);
});

test("deploying the stable version again ends the trial of another, and is what is waited for", async () => {
  await using directory = await temporaryDirectory();
  await writeVersions(directory.path);
  await using sidecar = await startSidecar(directory.path, { admin: { http: "127.0.0.1:0", token } });
  const environment = { OUTRIGGER_ADMIN: sidecar.admin, OUTRIGGER_ADMIN_TOKEN: token };
  const run = async (...parameters: string[]) => {
    using command = startCommand(parameters, { directory: directory.path, environment });
    return await command.ended;
  };
  assert.equal((await run("deploy", "v1.wasm")).code, 0);
  assert.match((await run("deploy", "v2.wasm", "--canary", "10")).out, /orders 2 is on trial/);
  const again = await run("deploy", "v1.wasm", "--wait", "--json");
  const { version, trial, lastTrial } = JSON.parse(again.out);
  assert.deepEqual([again.code, version, trial, lastTrial.outcome], [0, "1", undefined, "aborted"]);
  assert.match((await run("history", "orders")).out, /version 1 was deployed, which is stable/);
});

/** One sidecar at a time has a data directory: the next one waits for it to end, or is refused, and harms nothing. */
import assert from "node:assert/strict";
import { access, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { ask } from "../support/http.ts";
import { guestText } from "../support/proxy-wasm-guest.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const bearer = { authorization: "Bearer open-sesame" };
const empty = { admin: { token: "open-sesame" }, log: { level: "info" } };
const module = packManifest(
  await assemble(
    "nothing",
    guestText(() => ({ fields: "", on: { proxy_on_configure: "(i32.const 1)" } })),
  ),
  "name: orders\nversion: 1.0.0\n",
);
const taken = /another sidecar has .*data.plugins; give each one a data\.directory of its own/;

async function deploy(sidecar: Sidecar): Promise<{ readonly status: number; readonly text: string }> {
  const headers = { ...bearer, "content-type": "application/wasm" };
  return ask(sidecar.admin, "/v1/plugins", { method: "POST", headers, body: module });
}

test("the second sidecar on a data directory is refused, and takes over when the first ends, however that ends", async () => {
  await using directory = await temporaryDirectory();
  await using started = new AsyncDisposableStack();
  const first = started.use(await startSidecar(directory.path, empty));
  await assert.rejects(access(join(directory.path, "data/plugins/lock")), "nothing is kept, so nothing is locked");
  assert.equal((await deploy(first)).status, 201);
  const kept = await readdir(join(directory.path, "data/plugins/modules/sha256"));
  await writeFile(join(directory.path, "data/plugins/modules/sha256/stray.wasm"), "");
  await assert.rejects(startSidecar(directory.path, empty), taken);
  assert.equal((await readdir(join(directory.path, "data/plugins/modules/sha256"))).length, kept.length + 1);
  await first.stop("SIGKILL");
  const second = started.use(await startSidecar(directory.path, empty));
  assert.match((await ask(second.admin, "/v1/plugins/orders")).text, /"serving"/);
  const third = startSidecar(directory.path, empty);
  await second.stop();
  assert.match((await ask(started.use(await third).admin, "/v1/plugins/orders")).text, /"serving"/);
});

test("of two sidecars that have kept nothing yet, the first that keeps something has the directory", async () => {
  await using directory = await temporaryDirectory();
  await using started = new AsyncDisposableStack();
  const first = started.use(await startSidecar(directory.path, empty));
  const second = started.use(await startSidecar(directory.path, empty));
  assert.equal((await deploy(first)).status, 201);
  const refused = await deploy(second);
  assert.equal(refused.status, 503);
  assert.match(refused.text, taken);
  await first.stop();
  const late = await deploy(second);
  assert.equal(late.status, 503);
  assert.match(late.text, /another sidecar has kept plugins .* since this one started; restart this one/);
});

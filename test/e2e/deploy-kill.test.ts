/** kill -9 in the middle of deploys: afterwards one version is stable and serves, and what was acknowledged is there. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import type { PluginStatus } from "../../runtime/plugin/status.ts";
import { ask } from "../support/http.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const token = "open-sesame";
const bearer = { authorization: `Bearer ${token}` };
const configuration = {
  admin: { token },
  log: { level: "warn" },
  ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "orders" } }] },
};

/** A service that answers with its version; its start takes as long as a callback may. */
async function moduleOf(version: number, rollout = ""): Promise<Uint8Array> {
  const answer = (text: (content: string) => string): string =>
    drop(
      `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) ${text(`${version}`)} (i32.const 0) (i32.const 0) (i32.const -1))`,
    );
  const text = guestText((place) => ({
    fields: `(func $work (local $left i32) (local.set $left (i32.const 3000000))
      (loop $again (local.set $left (i32.sub (local.get $left) (i32.const 1))) (br_if $again (local.get $left))))`,
    on: {
      proxy_on_vm_start: `(call $work) ${drop(`(call $proxy_log (i32.const 3) ${place("it begins")})`)} (i32.const 1)`,
      proxy_on_configure: "(call $work) (i32.const 1)",
      proxy_on_request_headers: `${answer(place)} (i32.const 1)`,
    },
  }));
  const manifest = `name: orders\nversion: "${version}"\nkind: service\nlimits: { budget: 1s }\n${rollout}`;
  return packManifest(await assemble(`orders-${version}`, text), manifest);
}

/** A deploy whose lines are read as they come; resolves to them when it ends, whatever ends it. */
async function deploy(
  sidecar: Sidecar,
  module: Uint8Array,
  seen: (line: { readonly step?: string }) => unknown,
): Promise<{ readonly acknowledged: boolean }> {
  const url = new URL(`http://${sidecar.admin}/v1/plugins`);
  const headers = { ...bearer, "content-type": "application/wasm", accept: "application/x-ndjson" };
  const request = httpRequest(url, { method: "POST", headers });
  request.end(module);
  let text = "";
  try {
    const [response] = (await once(request, "response")) as [IncomingMessage];
    for await (const chunk of response.setEncoding("utf8")) {
      const before = text.split("\n").length;
      text += chunk;
      for (const line of text.split("\n").slice(before - 1, -1)) seen(JSON.parse(line) as { step?: string });
    }
  } catch {
    // The sidecar was killed.
  }
  return { acknowledged: /^\{"status":/m.test(text) };
}

/** What serves, once it is clear that exactly one version is stable and all that is kept belongs to some version. */
async function stableVersion(sidecar: Sidecar): Promise<number> {
  const get = async (path: string): Promise<unknown> => JSON.parse((await ask(sidecar.admin, path)).text);
  const status = (await get("/v1/plugins/orders")) as PluginStatus;
  assert.equal(status.state, "serving", status.reason ?? "");
  const versions = (await get("/v1/plugins/orders/versions")) as { role: string; version: string; digest: string }[];
  const stable = versions.filter(({ role }) => role === "stable");
  assert.deepEqual(
    stable.map(({ version }) => version),
    [status.version],
  );
  assert.equal((await ask(sidecar.ingress, "/")).text, status.version, "the stable version serves");
  const modules = await readdir(join(sidecar.directory, "data/plugins/modules/sha256"));
  const named = new Set(versions.map(({ digest }) => `${digest.slice("sha256:".length)}.wasm`));
  assert.deepEqual(new Set(modules), named);
  assert.deepEqual(await readdir(join(sidecar.directory, "data/plugins/uploads")), []);
  return Number(status.version);
}

const steps = ["upload", "fetch", "keep", "compile", "start", "switch", "acknowledged"] as const;

/** Sends half of a module, and resolves when it lies on the disk. */
async function uploadHalf(sidecar: Sidecar, module: Uint8Array): Promise<void> {
  const headers = { ...bearer, "content-type": "application/wasm", "content-length": module.length };
  const request = httpRequest(`http://${sidecar.admin}/v1/plugins`, { method: "POST", headers });
  request.on("error", () => {});
  request.write(module.subarray(0, module.length / 2));
  const uploads = join(sidecar.directory, "data/plugins/uploads");
  while ((await readdir(uploads)).length === 0) await new Promise((resolve) => setImmediate(resolve));
}

test("a sidecar that is killed at any step of a deploy comes back with one stable version, which serves", async () => {
  await using directory = await temporaryDirectory();
  await using started = new AsyncDisposableStack();
  let sidecar = started.use(await startSidecar(directory.path, configuration));
  await deploy(sidecar, await moduleOf(1), () => {});
  const logged = await ask(sidecar.admin, "/v1/plugins/orders/logs?tail=1", { headers: bearer });
  assert.match(logged.text, /"level":"warn","version":"1","message":"it begins"/);
  let known = 1;
  for (const [index, step] of steps.entries()) {
    const next = index + 2;
    const module = await moduleOf(next);
    const killed = sidecar;
    const kill = (): void => void killed.process.kill("SIGKILL");
    let acknowledged = false;
    if (step === "upload") await uploadHalf(sidecar, module);
    else ({ acknowledged } = await deploy(sidecar, module, (line) => line.step === step && kill()));
    await sidecar.stop("SIGKILL");
    sidecar = started.use(await startSidecar(directory.path, configuration));
    const stable = await stableVersion(sidecar);
    if (acknowledged || step === "upload") assert.equal(stable, acknowledged ? next : known, `killed after '${step}'`);
    else assert.ok(stable === known || stable === next, `killed after '${step}': ${stable}`);
    known = stable;
  }
});

const onTrial = "rollout: { promotion: manual, canary: { header: { name: x-beta } } }\n";

async function post(sidecar: Sidecar, action: string): Promise<void> {
  const headers = { ...bearer, "content-type": "application/json" };
  const { status, text } = await ask(sidecar.admin, `/v1/plugins/orders/${action}`, { method: "POST", headers });
  assert.equal(status, 200, text);
}

async function trialOf(sidecar: Sidecar): Promise<string | undefined> {
  const status = JSON.parse((await ask(sidecar.admin, "/v1/plugins/orders")).text) as PluginStatus;
  return status.trial && `${status.trial.version} ${status.trial.phase}`;
}

test("a trial, its promotion and a rollback outlive a kill, too", async () => {
  await using directory = await temporaryDirectory();
  const steps: readonly (readonly [
    act: (sidecar: Sidecar) => Promise<unknown>,
    stable: number,
    trial: string | undefined,
  ])[] = [
    [async (sidecar) => deploy(sidecar, await moduleOf(1), () => {}), 1, undefined],
    [async (sidecar) => deploy(sidecar, await moduleOf(2, onTrial), () => {}), 1, "2 canary"],
    [(sidecar) => post(sidecar, "pause"), 1, "2 paused"],
    [(sidecar) => post(sidecar, "resume"), 1, "2 canary"],
    [(sidecar) => post(sidecar, "promote"), 2, undefined],
    [(sidecar) => post(sidecar, "rollback"), 1, undefined],
  ];
  await using started = new AsyncDisposableStack();
  let sidecar = started.use(await startSidecar(directory.path, configuration));
  for (const [act, stable, trial] of steps) {
    await act(sidecar);
    await sidecar.stop("SIGKILL");
    sidecar = started.use(await startSidecar(directory.path, configuration));
    assert.equal(await stableVersion(sidecar), stable);
    assert.equal(await trialOf(sidecar), trial);
    const beta = await ask(sidecar.ingress, "/", { headers: { "x-beta": "1" } });
    assert.equal(beta.text, trial === undefined ? `${stable}` : "2");
  }
});

test("an operation that a kill cuts short has happened or has not", async () => {
  await using directory = await temporaryDirectory();
  await using started = new AsyncDisposableStack();
  const start = async (): Promise<Sidecar> => started.use(await startSidecar(directory.path, configuration));
  let sidecar = await start();
  await deploy(sidecar, await moduleOf(1), () => {});
  for (const action of ["promote", "abort", "rollback"]) {
    const trial = await deploy(sidecar, await moduleOf(2, onTrial), () => {});
    assert.ok(trial.acknowledged);
    let isOver = false;
    const asked = post(sidecar, action).catch(() => {});
    void asked.then(() => {
      isOver = true;
    });
    const records = join(directory.path, "data/plugins/records");
    // Until a record is being written, or was.
    while (!isOver && (await readdir(records)).length === 1) await new Promise((resolve) => setImmediate(resolve));
    await sidecar.stop("SIGKILL");
    await asked;
    sidecar = await start();
    const outcome = `${await stableVersion(sidecar)} ${await trialOf(sidecar)}`;
    const promoted = action === "promote" ? "2 undefined" : "1 undefined";
    assert.ok(outcome === promoted || outcome === "1 2 canary", `${action}: ${outcome}`);
    if (outcome === "2 undefined") await post(sidecar, "rollback");
  }
});

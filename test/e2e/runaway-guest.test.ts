import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { ask, askUntil } from "../support/http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { spinningService } from "../support/spinning-service.ts";

const routes = {
  plugins: { directory: "./plugins" },
  ingress: {
    routes: [
      { match: { prefix: "/spin" }, to: { plugin: "spin" } },
      { match: { prefix: "/other" }, to: { plugin: "other" } },
    ],
  },
};

async function deployBoth(directory: string, fail: "closed" | "reload" = "closed"): Promise<void> {
  const bytes = await spinningService();
  for (const name of ["spin", "other"]) {
    await writeFile(
      join(directory, "plugins", `${name}.yaml`),
      `name: ${name}\nversion: 1.0.0\nkind: service\nsuspends: false\nfail: ${fail}\n`,
    );
    await writeFile(join(directory, "plugins", `${name}.wasm`), bytes);
  }
}

const spin = { headers: { "x-spin": "1" } };

async function statusOf(sidecar: Sidecar, plugin: string): Promise<{ state: string; traps: number; reason?: string }> {
  const plugins = JSON.parse((await ask(sidecar.admin, "/v1/plugins")).text) as {
    name: string;
    state: string;
    traps: number;
  }[];
  return plugins.find(({ name }) => name === plugin) ?? assert.fail(`${plugin} is not listed`);
}

test("a guest in an endless loop ends by fuel; only the streams in its instance feel it", async () => {
  await using directory = await temporaryDirectory();
  await deployBoth(directory.path);
  await using sidecar = await startSidecar(directory.path, routes);

  // A stream that waits in the same instance, its body unfinished, when another one makes the guest loop.
  const neighbour = openRequest(sidecar.ingress, "/spin");
  await neighbour.sent;
  assert.equal((await ask(sidecar.ingress, "/spin", spin)).status, 503);
  assert.equal(await neighbour.status, 503, "the stream in the dead instance gets the fail policy");

  for (let request = 0; request < 20; request++) {
    assert.equal((await ask(sidecar.ingress, "/other")).status, 200, "other plugins never notice");
    assert.equal((await ask(sidecar.ingress, "/spin")).status, 200, "every later request meets the spare");
  }
  assert.equal((await statusOf(sidecar, "spin")).traps, 1);
  assert.equal((await statusOf(sidecar, "other")).traps, 0);
});

test("a plugin that overruns again and again is taken out by its crash budget, and a deploy brings it back", async () => {
  await using directory = await temporaryDirectory();
  await deployBoth(directory.path, "reload");
  await using sidecar = await startSidecar(directory.path, routes);
  const crashed = await (async () => {
    for (let request = 0; request < 100; request++) {
      assert.equal((await ask(sidecar.ingress, "/spin", spin)).status, 503);
      assert.equal((await ask(sidecar.ingress, "/other")).status, 200);
      const status = await statusOf(sidecar, "spin");
      if (status.state === "crashed") return status;
    }
    return assert.fail("100 overruns in a row did not exhaust the crash budget");
  })();
  assert.ok(crashed.reason !== undefined && crashed.reason.length > 0, "the status says why");
  const before = (await statusOf(sidecar, "spin")).traps;
  for (let request = 0; request < 10; request++) assert.equal((await ask(sidecar.ingress, "/spin", spin)).status, 503);
  assert.equal((await statusOf(sidecar, "spin")).traps, before, "nothing reaches the guest any more");
  const ready = await ask(sidecar.admin, "/actuator/health/readiness");
  assert.equal(ready.status, 503);
  assert.match(ready.text, /spin/);

  await writeFile(
    join(directory.path, "plugins", "spin.yaml"),
    "name: spin\nversion: 1.0.1\nkind: service\nsuspends: false\n",
  );
  await askUntil(sidecar.ingress, "/spin", ({ status }) => status === 200);
  assert.equal((await statusOf(sidecar, "spin")).state, "serving");
});

test("between its crashes a plugin waits, and requests that would wait longer than they may are answered at once", async () => {
  await using directory = await temporaryDirectory();
  await deployBoth(directory.path);
  await using sidecar = await startSidecar(directory.path, routes);
  do {
    assert.equal((await ask(sidecar.ingress, "/spin", spin)).status, 503);
  } while ((await ask(sidecar.ingress, "/spin")).status === 200);
  await sidecar.logged(({ msg }) => /; it is replaced in [12] s$/.test(msg));
  assert.equal((await statusOf(sidecar, "spin")).state, "serving");
  await askUntil(sidecar.ingress, "/spin", ({ status }) => status === 200);
  assert.match((await ask(sidecar.admin, "/metrics")).text, /^outrigger_plugin_reloads_total\{plugin="spin"\} [3-9]$/m);
});

/** A POST whose head and first bytes are on the way, and whose body never ends. */
function openRequest(address: string, path: string): { sent: Promise<void>; status: Promise<number> } {
  const [host, port] = address.split(":");
  const request = httpRequest({ host, port, path, method: "POST", headers: { expect: "100-continue" } });
  const sent = new Promise<void>((resolve) => request.once("continue", () => resolve()));
  const status = new Promise<number>((resolve, reject) => {
    request.once("error", reject);
    request.once("response", (response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
  });
  request.flushHeaders();
  return { sent, status };
}

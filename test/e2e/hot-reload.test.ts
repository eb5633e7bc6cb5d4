import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { build, demoConfiguration, deploy } from "../support/demo.ts";
import { ask, askUntil, type HttpAnswer, keepAlive } from "../support/http.ts";
import { onFreePorts, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const perSecond = 200;

test("replacing inventory.wasm under 200 requests a second loses none, and later requests see the new version", async () => {
  await using directory = await temporaryDirectory();
  for (const plugin of ["rate-limit", "inventory"]) await deploy(directory.path, plugin);
  const next = await build("inventory", "2.0.0");
  const route = {
    match: { prefix: "/inventory" },
    filters: [{ plugin: "rate-limit", configuration: { rate: 100_000, burst: 100_000, key: "source" } }],
    to: { plugin: "inventory" },
  };
  await using sidecar = await startSidecar(directory.path, {
    ...(await demoConfiguration()),
    ingress: { routes: [route] },
  });
  // Many items: of those who change one at once, the plugin turns some away.
  const paths = Array.from({ length: 50 }, (_, index) => `/inventory/item-${index}`);
  for (const path of paths) await ask(sidecar.ingress, path, { method: "PUT", body: '{"stock":100000}' });

  using agent = keepAlive();
  const failures: string[] = [];
  const versions: string[] = [];
  const one = async (number: number): Promise<void> => {
    const taking = number % 2 === 0;
    const path = paths[number % paths.length] ?? "";
    const answer = await (taking
      ? ask(sidecar.ingress, `${path}/take`, { method: "POST", body: '{"quantity":1}', agent })
      : ask(sidecar.ingress, path, { agent })
    ).catch((error: Error) => ({ status: 0, text: error.message, headers: {} }) as HttpAnswer);
    if (answer.status === 200) versions.push(String(answer.headers["x-inventory-version"]));
    else if (answer.status !== 409) failures.push(`${answer.status} ${answer.text}`);
  };

  const inFlight: Promise<void>[] = [];
  let sent = 0;
  const timer = setInterval(() => inFlight.push(one(sent++)), 1000 / perSecond);
  const reached = async (count: number): Promise<void> => {
    while (versions.length < count && failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  await reached(200);
  await deploy(directory.path, "inventory", next);
  await askUntil(sidecar.ingress, "/inventory/item-0", ({ headers }) => headers["x-inventory-version"] === "2.0.0");
  const atSwitch = versions.length;
  await reached(atSwitch + 200);
  clearInterval(timer);
  await Promise.all(inFlight);

  assert.deepEqual(failures, []);
  const old = versions.find((version) => version !== "2.0.0");
  assert.ok(old !== undefined && versions.includes("2.0.0"), "both versions answered");
  assert.ok(
    versions.slice(-100).every((version) => version === "2.0.0"),
    "the old version answers nothing any more",
  );
});

test("a broken or half-written module changes nothing and says why", async () => {
  await using directory = await temporaryDirectory();
  for (const plugin of ["rate-limit", "inventory"]) await deploy(directory.path, plugin);
  await using sidecar = await startSidecar(directory.path, await demoConfiguration());
  await ask(sidecar.ingress, "/inventory/apple", { method: "PUT", body: '{"stock":5}' });
  await writeFile(join(directory.path, "plugins/inventory.wasm"), "this is not a module");
  await sidecar.logged((line) => line["level"] !== 30 && /inventory/.test(JSON.stringify(line)));
  assert.equal((await ask(sidecar.ingress, "/inventory/apple")).status, 200);
  const plugins = JSON.parse((await ask(sidecar.admin, "/v1/plugins")).text) as {
    name: string;
    state: string;
    reason?: string;
  }[];
  const inventory = plugins.find(({ name }) => name === "inventory");
  assert.equal(inventory?.state, "serving");
  assert.ok(inventory?.reason !== undefined, "the refused deploy is told");
});

test("routes and filters reload with the file; a broken edit changes nothing", async () => {
  await using directory = await temporaryDirectory();
  for (const plugin of ["rate-limit", "inventory"]) await deploy(directory.path, plugin);
  const demo = await demoConfiguration();
  await using sidecar = await startSidecar(directory.path, demo);
  const write = (routes: unknown[]): Promise<void> =>
    writeFile(join(directory.path, "outrigger.yaml"), stringify(onFreePorts({ ...demo, ingress: { routes } })));
  assert.equal((await ask(sidecar.ingress, "/shop/apple")).status, 404);

  await write([{ match: { prefix: "/" }, to: { plugin: "inventory" }, filtres: [] }]);
  const refused = await sidecar.logged(({ msg }) => msg.includes("refused"));
  assert.match(JSON.stringify(refused), /did you mean 'filters'/);
  assert.equal((await ask(sidecar.ingress, "/inventory/none")).headers["x-inventory-version"] !== undefined, true);

  const always429 = { plugin: "rate-limit", configuration: { rate: 0.001, burst: 1, key: "source" } };
  await write([{ match: { prefix: "/inventory" }, filters: [always429], to: { plugin: "inventory" } }]);
  await askUntil(sidecar.ingress, "/inventory/none", ({ status }) => status === 429);
  await write([{ match: { prefix: "/inventory" }, to: { plugin: "inventory" } }]);
  await askUntil(sidecar.ingress, "/inventory/none", ({ status }) => status === 404);
});

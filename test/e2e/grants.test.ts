import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { deploy } from "../support/demo.ts";
import { ask } from "../support/http.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const components = {
  state: { inventory: { type: "memory" }, secrets: { type: "memory" } },
  pubsub: { events: { type: "memory" } },
};
const ingress = { routes: [{ match: { prefix: "/inventory" }, to: { plugin: "inventory" } }] };
const plugins = (granted: Record<string, string[]>) => ({ directory: "./plugins", grants: { inventory: granted } });

let wasm: Uint8Array;
before(async () => {
  await using directory = await temporaryDirectory();
  await deploy(directory.path, "inventory");
  wasm = await readFile(join(directory.path, "plugins/inventory.wasm"));
});

const manifest = (state: string, store: string): string => `
name: inventory
version: 1.0.0
kind: service
configuration: { store: ${store}, pubsub: events, topic: stock-low, low: 5 }
capabilities: { state: [${state}], pubsub: [events] }
`;

test("a plugin that asks for a store it was not granted is refused at deploy, by name", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "plugins/inventory.yaml"), manifest("secrets", "secrets"));
  await writeFile(join(directory.path, "plugins/inventory.wasm"), wasm);
  await using sidecar = await startSidecar(directory.path, {
    components,
    ingress,
    plugins: plugins({ state: ["inventory"], pubsub: ["events"] }),
  });
  const refused = await sidecar.logged(({ msg, err }) => /secrets/.test(`${msg} ${JSON.stringify(err)}`));
  assert.match(JSON.stringify(refused), /plugin 'inventory'[^"]*'secrets'/);
  assert.equal((await ask(sidecar.ingress, "/inventory/apple")).status, 503);
});

test("a plugin that calls a store it did not ask for gets PERMISSION_DENIED, and nothing is written", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "plugins/inventory.yaml"), manifest("inventory", "secrets"));
  await writeFile(join(directory.path, "plugins/inventory.wasm"), wasm);
  await using sidecar = await startSidecar(directory.path, {
    components,
    ingress,
    plugins: plugins({ state: ["inventory", "secrets"], pubsub: ["events"] }),
  });
  const put = await ask(sidecar.ingress, "/inventory/apple", { method: "PUT", body: '{"stock":1}' });
  assert.ok(put.status >= 500, `${put.status} ${put.text}`);
  assert.match(put.text, /PERMISSION_DENIED|was not granted/);
});

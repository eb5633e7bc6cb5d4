import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OutriggerClient } from "../../sdk/index.ts";
import { demoConfiguration, deploy } from "../support/demo.ts";
import { ask, type HttpAnswer, keepAlive } from "../support/http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const main = fileURLToPath(new URL("../../runtime/main.ts", import.meta.url));

async function startDemo(directory: string, rateLimit?: object): Promise<Sidecar> {
  for (const plugin of ["rate-limit", "inventory"]) await deploy(directory, plugin);
  const demo = await demoConfiguration();
  if (rateLimit === undefined) return startSidecar(directory, demo);
  const filters = [{ plugin: "rate-limit", configuration: rateLimit }];
  return startSidecar(directory, {
    ...demo,
    ingress: { routes: [{ match: { prefix: "/inventory" }, filters, to: { plugin: "inventory" } }] },
  });
}

const put = (sidecar: Sidecar, sku: string, stock: number): Promise<HttpAnswer> =>
  ask(sidecar.ingress, `/inventory/${sku}`, { method: "PUT", body: JSON.stringify({ stock }) });
const take = (sidecar: Sidecar, sku: string, quantity: number): Promise<HttpAnswer> =>
  ask(sidecar.ingress, `/inventory/${sku}/take`, { method: "POST", body: JSON.stringify({ quantity }) });

test("a request goes through rate-limit and inventory to the state store and back", async () => {
  await using directory = await temporaryDirectory();
  await using sidecar = await startDemo(directory.path);
  assert.equal((await ask(sidecar.ingress, "/inventory/apple")).status, 404);
  assert.equal((await put(sidecar, "apple", 10)).status, 200);
  assert.equal((await take(sidecar, "apple", 3)).status, 200);
  const apple = await ask(sidecar.ingress, "/inventory/apple");
  assert.equal(apple.status, 200);
  assert.equal(JSON.parse(apple.text).stock, 7);
  assert.equal((await take(sidecar, "apple", 8)).status, 409, "there are not that many");
  assert.equal((await take(sidecar, "apple", -1)).status, 400);

  const plugins = JSON.parse((await ask(sidecar.admin, "/v1/plugins")).text) as {
    name: string;
    calls: number;
    fuel: number;
  }[];
  assert.deepEqual(plugins.map(({ name }) => name).sort(), ["inventory", "rate-limit"]);
  for (const { name, calls, fuel } of plugins)
    assert.ok(calls >= 6 && fuel > 0, `${name}: ${calls} calls, ${fuel} fuel`);
  assert.match((await ask(sidecar.admin, "/metrics")).text, /^outrigger_ingress_requests_total\{/m);
});

test("outrigger plugins prints what is deployed", async () => {
  await using directory = await temporaryDirectory();
  await using sidecar = await startDemo(directory.path);
  const parameters = [main, "plugins", "--admin", sidecar.admin];
  const { stdout } = await promisify(execFile)(process.execPath, parameters);
  const [header = "", ...rows] = stdout.trim().split("\n");
  assert.match(header, /^NAME +VERSION +DIGEST +KIND +STATE/);
  assert.deepEqual(
    rows
      .map((row) =>
        row
          .split(/ +/)
          .filter((_, column) => column !== 2)
          .slice(0, 4),
      )
      .sort(),
    [
      ["inventory", "1.0.0", "service", "serving"],
      ["rate-limit", "1.0.0", "filter", "serving"],
    ],
  );
});

test("stock taken by many at once is never taken twice", async () => {
  await using directory = await temporaryDirectory();
  await using sidecar = await startDemo(directory.path, { rate: 10_000, burst: 10_000, key: "source" });
  await put(sidecar, "pear", 10);
  const answers = await Promise.all(Array.from({ length: 25 }, () => take(sidecar, "pear", 1)));
  const taken = answers.filter(({ status }) => status === 200).length;
  const left = JSON.parse((await ask(sidecar.ingress, "/inventory/pear")).text).stock;
  assert.equal(left, 10 - taken);
  assert.ok(taken >= 1 && taken <= 10, `${taken} were taken of 10`);
});

test("an event is published when stock runs low, and an application receives it", async () => {
  await using directory = await temporaryDirectory();
  await using sidecar = await startDemo(directory.path);
  await using client = new OutriggerClient({ address: sidecar.grpc });
  const events = await client.pubsub.subscribe({ pubsub: "events", topic: "stock-low" });
  await put(sidecar, "plum", 10);
  await take(sidecar, "plum", 9);
  for await (const event of events) {
    assert.equal((event.data.json() as { sku: string }).sku, "plum");
    await event.ack();
    break;
  }
});

test("the 429 appears at the configured rate", async () => {
  await using directory = await temporaryDirectory();
  await using sidecar = await startDemo(directory.path, { rate: 0.001, burst: 5, key: "source" });
  using agent = keepAlive();
  const answers: HttpAnswer[] = [];
  for (let request = 0; request < 12; request++) answers.push(await ask(sidecar.ingress, "/inventory/none", { agent }));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [...Array(5).fill(404), ...Array(7).fill(429)],
  );
  assert.match(String(answers.at(-1)?.headers["retry-after"]), /^\d+$/);
  assert.match((await ask(sidecar.admin, "/metrics")).text, /^outrigger_plugin_\w*limited\w*\{[^}]*\} 7$/m);
});

/** The component that the demo serves: pricing, in the sidecar and with the components of the demo. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { build, demoConfiguration, deploy } from "../support/demo.ts";
import { ask, askUntil, type HttpAnswer } from "../support/http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const open = new AsyncDisposableStack();
let directory = "";
let sidecar: Sidecar;
let client: OutriggerClient;
before(async () => {
  directory = open.use(await temporaryDirectory()).path;
  await deploy(directory, "pricing");
  const demo = await demoConfiguration();
  const routes = [{ match: { prefix: "/pricing" }, to: { plugin: "pricing" } }];
  sidecar = open.use(await startSidecar(directory, { ...demo, ingress: { routes } }));
  client = open.use(new OutriggerClient({ address: sidecar.grpc }));
  await askUntil(sidecar.ingress, "/pricing/none", ({ status }) => status === 404);
});
after(() => open.disposeAsync());

const price = (sku: string, amount: number): Promise<HttpAnswer> =>
  ask(sidecar.ingress, `/pricing/${sku}`, { method: "PUT", body: JSON.stringify({ amount }) });

test("quotes prices as operators configure them, and keeps the quotes", async () => {
  assert.equal((await price("apple", 250)).status, 200);
  await client.config.save({
    store: "settings",
    items: [
      { key: "rates", content: '{"USD":1.08}' },
      { key: "discounts", content: '{"SPRING":10}' },
    ],
  });
  const path = "/pricing/apple?quantity=3&currency=USD&code=SPRING";
  await askUntil(sidecar.ingress, path, ({ status }) => status === 200);
  const quote = JSON.parse((await ask(sidecar.ingress, path)).text);
  assert.deepEqual([quote.unit, quote.total, quote.discountPercent], [270, 729, 10]);
  assert.deepEqual(JSON.parse((await ask(sidecar.ingress, `/pricing/quotes/${quote.id}`)).text), quote);
  const refused = await ask(sidecar.ingress, "/pricing/apple?quantity=none");
  assert.deepEqual([refused.status, /expected a whole number/.test(refused.text)], [400, true]);
});

test("shares its state with the application", async () => {
  await price("plum", 120);
  const kept = await client.state.get({ store: "prices", key: "price/plum" });
  assert.equal(kept?.value.text(), "120");
  await client.state.save({ store: "prices", key: "price/plum", value: json(130) });
  assert.equal(JSON.parse((await ask(sidecar.ingress, "/pricing/plum")).text).unit, 130);
});

test("takes changes of prices from its topic", async () => {
  await client.pubsub.publish({ pubsub: "events", topic: "price-changes", data: json({ sku: "pear", amount: 80 }) });
  await askUntil(sidecar.ingress, "/pricing/pear", ({ status }) => status === 200);
});

test("gives every quote an id of its own, whichever instance answers", async () => {
  await price("fig", 10);
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(sidecar.ingress, "/pricing/fig")));
  const ids = answers.map(({ text }) => JSON.parse(text).id);
  assert.equal(new Set(ids).size, 40);
});

test("is replaced while it answers, and no request fails", async () => {
  await price("lime", 30);
  const next = await build("pricing", "2.0.0");
  const versions = new Set<unknown>();
  let isDone = false;
  const asking = (async () => {
    while (!isDone) {
      const { status, headers } = await ask(sidecar.ingress, "/pricing/lime");
      assert.equal(status, 200);
      versions.add(headers["x-pricing-version"]);
    }
  })();
  await deploy(directory, "pricing", next);
  try {
    await Promise.race([asking, eventually("the new version answers", () => versions.has("2.0.0"))]);
  } finally {
    isDone = true;
  }
  await asking;
  assert.deepEqual([...versions], ["1.0.0", "2.0.0"]);
});

test("goes on when an event cannot be taken, and its log says why", async () => {
  const refused = { sku: "a||b", amount: 80 };
  await client.pubsub.publish({ pubsub: "events", topic: "price-changes", data: json(refused) });
  await sidecar.logged(
    ({ plugin, msg }) =>
      plugin === "pricing" && /^an event of 'price-changes' failed: \w*Error: invalid-argument: .*'\|\|'/.test(msg),
  );
  assert.equal((await price("quince", 90)).status, 200);
  const [{ state }] = JSON.parse((await ask(sidecar.admin, "/v1/plugins")).text);
  assert.equal(state, "serving");
});

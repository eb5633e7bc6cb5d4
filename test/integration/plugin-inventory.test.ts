import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { type Guest, grpcReply, TestServices } from "../support/proxy-wasm-host.ts";
import { ask, builtPlugin, compilePlugin, startPlugin } from "./plugin-sdk-guest.ts";
import { SmallRuntime } from "./plugin-sdk-runtime.ts";

let wasm: Uint8Array<ArrayBuffer>;
before(async () => {
  wasm = await builtPlugin("inventory");
});

const start = (services: TestServices, configuration = ""): Promise<Guest> =>
  startPlugin(wasm, { kind: "service", configuration, services });

/** Status and body of an answer. */
async function send(
  guest: Guest,
  method: string,
  path: string,
  body: object | string = "",
): Promise<[number, unknown]> {
  const { status, text } = await ask(guest, method, path, typeof body === "string" ? body : JSON.stringify(body));
  return [status, JSON.parse(text)];
}

test("keeps the stock of an article, and gives it out", async () => {
  await using guest = await start(new SmallRuntime(["inventory"]).services());
  const article = (stock: number, version: number) => ({ sku: "apple", stock, version });
  assert.deepEqual(await send(guest, "GET", "/inventory/apple"), [404, { error: "there is no article 'apple'" }]);
  assert.deepEqual(await send(guest, "PUT", "/inventory/apple", { stock: 10 }), [200, article(10, 1)]);
  assert.deepEqual(await send(guest, "GET", "/inventory/apple?x=1"), [200, article(10, 1)]);
  assert.deepEqual(await send(guest, "POST", "/inventory/apple/take", { quantity: 3 }), [200, article(7, 2)]);
  assert.deepEqual(await send(guest, "POST", "/inventory/apple/take", { quantity: 8 }), [
    409,
    { ...article(7, 2), error: "there are only 7 left" },
  ]);
  assert.deepEqual(await send(guest, "PUT", "/inventory/apple", { stock: 0 }), [200, article(0, 3)]);
});

test("tells once when the stock falls below the limit", async () => {
  const runtime = new SmallRuntime(["inventory"]);
  await using guest = await start(runtime.services(), '{"low":3,"pubsub":"news","topic":"low"}');
  await send(guest, "PUT", "/inventory/pear", { stock: 5 });
  for (let turn = 0; turn < 4; turn++) await send(guest, "POST", "/inventory/pear/take", { quantity: 1 });
  assert.deepEqual(
    runtime.published.map(({ pubsubName, topic, data, dataContentType }) => [
      pubsubName,
      topic,
      JSON.parse(Buffer.from(data).toString()),
      dataContentType,
    ]),
    [["news", "low", { sku: "pear", stock: 2, version: 4, low: 3 }, "application/json"]],
  );
});

test("lets the change stand when nobody can be told", async () => {
  const services = new SmallRuntime(["inventory"]).services();
  services.methods.set("/spec.proto.runtime.v1.Runtime/PublishEvent", async () =>
    grpcReply({ code: 14, details: "the broker is away" }),
  );
  await using guest = await start(services);
  assert.equal((await send(guest, "PUT", "/inventory/pear", { stock: 1 }))[0], 200);
  assert.match(services.lines.join(), /warn: .*'pear' runs low: UNAVAILABLE: the broker is away/);
});

test("tries again when somebody else was faster, and gives up in the end", async () => {
  const runtime = new SmallRuntime(["inventory"]);
  await using guest = await start(runtime.services());
  await send(guest, "PUT", "/inventory/apple", { stock: 10 });
  runtime.conflicts = 5;
  assert.deepEqual((await send(guest, "POST", "/inventory/apple/take", { quantity: 1 }))[0], 200);
  runtime.conflicts = 1_000;
  const busy = await ask(guest, "POST", "/inventory/apple/take", '{"quantity":1}');
  assert.equal(busy.status, 503);
  assert.equal(busy.headers["retry-after"], "1");
});

test("answers what it cannot serve as HTTP does", async () => {
  await using guest = await start(new SmallRuntime(["inventory"]).services());
  const badBodies = ["", "x", "[]", "{}", '{"quantity":0}', '{"quantity":-1}', '{"quantity":1.5}', '{"quantity":"1"}'];
  for (const body of badBodies) assert.equal((await send(guest, "POST", "/inventory/apple/take", body))[0], 400, body);
  assert.equal((await send(guest, "PUT", "/inventory/apple", '{"stock":-1}'))[0], 400);
  assert.equal((await send(guest, "PUT", "/inventory/apple", '{"stock":1e12}'))[0], 400);
  assert.equal((await send(guest, "GET", "/inventory"))[0], 404);
  assert.equal((await send(guest, "GET", "/elsewhere/apple"))[0], 404);
  assert.equal((await send(guest, "POST", "/inventory/apple/give", "{}"))[0], 404);
  assert.equal((await send(guest, "POST", "/inventory/none/take", '{"quantity":1}'))[0], 404);
  const wrong = await ask(guest, "DELETE", "/inventory/apple");
  assert.deepEqual([wrong.status, wrong.headers.allow], [405, "GET, HEAD, PUT"]);
  assert.equal((await ask(guest, "GET", "/inventory/apple/take")).headers.allow, "POST");
});

test("does not take a value for an article that is none, and tells a failed store", async () => {
  const services = new SmallRuntime(["inventory"]).services();
  await using guest = await start(services);
  services.methods.set("/spec.proto.runtime.v1.Runtime/GetState", async () =>
    grpcReply({ code: 7, details: "plugin 'inventory' was not granted state store 'inventory'" }),
  );
  assert.deepEqual(await send(guest, "GET", "/inventory/apple"), [
    500,
    { error: "the store failed with PERMISSION_DENIED" },
  ]);
  assert.match(services.lines.join(), /error: .*was not granted state store 'inventory'/);
});

test("says which version answered, and is built as another one", async () => {
  const manifest = await readFile(new URL("../../wasm-plugins/inventory/inventory.yaml", import.meta.url), "utf8");
  const version = /^version: (.*)$/m.exec(manifest)?.[1];
  const source = await readFile(new URL("../../wasm-plugins/inventory/assembly/version.ts", import.meta.url), "utf8");
  assert.ok(source.includes(`"${version}"`), "the version in the source is the manifest's");
  await using first = await start(new SmallRuntime(["inventory"]).services());
  assert.equal((await ask(first, "GET", "/inventory/apple")).headers["x-inventory-version"], version);
  wasm = await compilePlugin("inventory", "2.0.0");
  await using second = await start(new SmallRuntime(["inventory"]).services());
  assert.equal((await ask(second, "GET", "/inventory/apple")).headers["x-inventory-version"], "2.0.0");
});

test("refuses a configuration that is not acceptable, with a sentence", async () => {
  const refusals = {
    "[]": /must be an object/,
    '{"shop":1}': /no setting 'shop'/,
    '{"low":-1}': /'low'/,
    '{"store":""}': /'store'/,
  };
  for (const [configuration, sentence] of Object.entries(refusals)) {
    const services = new TestServices();
    await assert.rejects(start(services, configuration), { fault: "configuration" });
    assert.match(services.lines.join(), sentence);
  }
});

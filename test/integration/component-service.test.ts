/** Components of the sidecar's own world, served by a sidecar that runs. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OutriggerClient } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { ask } from "../support/http.ts";
import { type ComponentRig, openComponents } from "./component-rig.ts";

const subscriptions = [{ pubsub: "events", topic: "placed" }];
const schedules = [
  { name: "often", cron: "@every 1s", data: { a: 1 } },
  { name: "failing", cron: "@every 1s" },
];

describe("a component that serves with plain data", () => {
  let rig: ComponentRig;
  let client: OutriggerClient;
  before(async () => {
    rig = await openComponents({ subscriptions, schedules });
    client = new OutriggerClient({ address: rig.sidecar.grpc });
  });
  after(async () => {
    await client[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });
  const json = async (call: string): Promise<unknown> => JSON.parse((await rig.call(call)).text);

  it("is shown the request as a whole, and answers it", async () => {
    const body = "a body that comes in one piece";
    const { text } = await rig.call("request?x=1", { method: "PUT", body, headers: { "X-Name": "Value" } });
    const { headers, ...request } = JSON.parse(text);
    assert.deepEqual(request, { method: "PUT", path: "/service/request?x=1", scheme: "http", body });
    assert.ok(headers.some(([name, value]: string[]) => name === "x-name" && value === "Value"));
    assert.ok(headers.every(([name]: string[]) => !name?.startsWith(":")));
    const echo = await rig.call("echo", { method: "POST", body: Buffer.from([0, 200, 255]) });
    assert.equal(echo.status, 201);
    assert.deepEqual([...echo.body], [0, 200, 255]);
    assert.equal((await rig.call("nothing")).status, 404);
  });

  it("sends a large answer in full", async () => {
    const { status, body, headers } = await rig.call("large");
    assert.deepEqual([status, body.length, headers["content-length"]], [200, 300_000, "300000"]);
  });

  it("is told what is wrong with a response that cannot be sent, as its client is, which gets nothing of it", async () => {
    const odd = (headers: Record<string, string>) => rig.call("odd", { headers });
    for (const [headers, words] of [
      [{ "x-status": "999" }, "its status is 999, and 200 to 599 can be sent"],
      [{ "x-status": "0" }, "its status is 0, and 200 to 599 can be sent"],
      [{ "x-fields": '[["x a", "1"]]' }, '"x a" is no name of a field'],
      [
        { "x-fields": '[["x-a", "1\\r\\nx-b: 2"]]' },
        "the value of 'x-a' holds \"\\r\", and may hold printable characters",
      ],
      [
        { "x-fields": '[["x-a", "\\u20ac"]]' },
        "the value of 'x-a' holds \"\u20ac\", and may hold printable characters",
      ],
    ] as const) {
      const { status, text } = await odd(headers);
      assert.equal(status, 500);
      assert.ok(text.startsWith(`plugin 'service' gave a response that is not valid: ${words}`), text);
      await rig.sidecar.logged(
        ({ plugin, level, msg }) =>
          plugin === "service" && level === 40 && msg.startsWith("GET /service/odd") && msg.includes(words),
      );
    }
    const fields = '[["x-mine", "1"], ["x-a", "\\n"]]';
    assert.equal((await odd({ "x-fields": fields })).headers["x-mine"], undefined);
    const { text } = await odd({ "x-fields": '[["x-mine", "1"]]' });
    assert.equal(text, "its own");
  });

  it("reads its configuration", async () => {
    assert.equal(await json("configuration"), '{"greeting":"hello"}');
  });

  it("keeps state that an application reads, and reads what an application writes", async () => {
    await rig.call("put/fruit", { method: "POST", body: "apple" });
    assert.equal((await rig.call("get/fruit")).text, "apple");
    assert.equal((await client.state.get({ store: "orders", key: "fruit" }))?.value.text(), "apple");
    await client.state.save({ store: "orders", key: "fruit", value: Buffer.from("pear") });
    assert.equal((await rig.call("get/fruit")).text, "pear");
    assert.deepEqual([await json("count/n"), await json("count/n")], [1, 2]);
  });

  it("keeps state that a module of Proxy-Wasm reads", async () => {
    const article = { sku: "plum", stock: 5, version: 1 };
    await rig.call("put/plum", { method: "POST", body: JSON.stringify(article) });
    const { status, text } = await ask(rig.sidecar.ingress, "/inventory/plum");
    assert.equal(status, 200, text);
    assert.equal(JSON.parse(text).stock, 5);
  });

  it("writes several keys, and none of a transaction that fails", async () => {
    assert.deepEqual(await json("many"), { one: "one", none: null, conflict: "aborted", kept: "one", gone: null });
  });

  it("reaches locks, numbers and configuration", async () => {
    assert.deepEqual(await json("others"), {
      locked: true,
      lockedAgain: false,
      unlocked: "owned-by-other",
      number: 1,
      settings: null,
      selected: 0,
    });
  });

  it("is told why it may not have what it was not granted", async () => {
    const [denied, missing] = (await json("denied")) as [{ tag: string; val: string }, string];
    assert.equal(denied.tag, "permission-denied");
    assert.match(denied.val, /secret/);
    assert.match(missing, /permission-denied|not-found/);
  });

  it("takes the events of its topics without their envelope", async () => {
    await eventually("the event arrives", async () => {
      await rig.call("publish/placed", { method: "POST", body: '{"n":1}' });
      return (await rig.call("get/event-placed")).status === 200;
    });
    assert.deepEqual(await json("get/event-placed"), {
      hasId: true,
      from: "events",
      topic: "placed",
      source: "shop",
      type: "outrigger.event.sent",
      contentType: "application/json",
      body: '{"n":1}',
      hasTime: true,
      extensions: [],
    });
  });

  it("is woken by its schedules, and says when it fails", async () => {
    await eventually("the tick arrives", async () => (await rig.call("get/tick-often")).status === 200);
    assert.deepEqual(await json("get/tick-often"), { isNow: true, contentType: "application/json", data: '{"a":1}' });
    await rig.sidecar.logged(({ msg, err }) => `${msg} ${JSON.stringify(err)}`.includes("the guest is not ready"));
  });

  it("writes to the log of its plugin", async () => {
    await rig.call("log");
    await rig.sidecar.logged(({ msg, plugin }) => msg === "the guest was here" && plugin === "service");
  });

  it("is a step in a filter chain: changes what goes through, or answers in its place", async () => {
    const { ingress } = rig.sidecar;
    const question = { method: "POST", body: "text", headers: { "x-secret": "s" } };
    const passed = await ask(ingress, "/as-it-is", question);
    assert.deepEqual(JSON.parse(passed.text), {
      method: "POST",
      url: "/as-it-is",
      step: null,
      secret: "s",
      body: "text",
    });
    const refused = await ask(ingress, "/refused", question);
    assert.deepEqual([refused.status, refused.text], [418, "no"]);
    const changed = await ask(ingress, "/changed", question);
    assert.deepEqual([changed.status, changed.headers["x-was"]], [202, "200"]);
    const inner = { method: "POST", url: "/new", step: "1", secret: null, body: "TEXT" };
    assert.equal(changed.text, `<${JSON.stringify(inner)}>`);
  });
});

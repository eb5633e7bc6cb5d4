/** A component among its neighbours: an application, modules of Proxy-Wasm, topics, the clock and a filter chain. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { serve } from "../integration/ingress-rig.ts";
import { componentGuest } from "../support/component-guests.ts";
import { build } from "../support/demo.ts";
import { ask } from "../support/http.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

/** Keeps what it is sent, counts how often it is told of an event, and answers as the event says. */
const ledger = `
  import * as state from "outrigger:runtime/state@0.1.0";
  const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const textOf = (bytes) => String.fromCharCode(...bytes);
  export const handler = {
    handle({ method, path, body }) {
      const key = path.slice("/ledger/".length);
      if (method === "PUT") state.set("orders", key, body);
      const entry = state.get("orders", key) ?? undefined;
      return { status: entry === undefined ? 404 : 200, headers: [], body: entry?.value ?? bytesOf("") };
    },
  };
  export const events = {
    onEvent({ data }) {
      const { id, answers } = JSON.parse(textOf(data));
      const tries = Number(state.increment("orders", "tries/" + id, 1));
      const answer = answers[Math.min(tries, answers.length) - 1];
      if (answer === "trap") throw new Error("it is confused");
      return answer;
    },
  };
  export const schedules = {
    onSchedule({ schedule }) { state.increment("orders", "ticks/" + schedule, 1); },
  };`;

/** Hands messages to the ledger's store; the first of each kind it refuses. */
const listener = `
  import { open } from "wasi:keyvalue/store@0.2.0-draft2";
  import { increment } from "wasi:keyvalue/atomics@0.2.0-draft2";
  export const handler = {
    handleMessage({ subject, body }) {
      const bucket = open("orders");
      if (Number(increment(bucket, "heard/" + subject, 1)) === 1) throw "not yet";
      bucket.set("said/" + subject, body);
    },
  };`;

/** Names the path that it sees, in a field of the request and of the response. */
const stamp = (): string =>
  guestText((text) => ({
    on: {
      proxy_on_request_headers: `
        ${drop(`(call $proxy_get_header_map_value (i32.const 0) ${text(":path")} (i32.const 0) (i32.const 4))`)}
        ${drop(`(call $proxy_add_header_map_value (i32.const 0) ${text("x-stamp")} (i32.load (i32.const 0)) (i32.load (i32.const 4)))`)}
        (i32.const 0)`,
      proxy_on_response_headers: `
        ${drop(`(call $proxy_add_header_map_value (i32.const 2) ${text("x-stamped")} ${text("yes")})`)} (i32.const 0)`,
    },
  }));

describe("a component among its neighbours", { timeout: 120_000 }, () => {
  const opened = new AsyncDisposableStack();
  let sidecar: Sidecar;
  let client: OutriggerClient;

  before(async () => {
    const { path } = opened.use(await temporaryDirectory());
    const application = opened.use(
      await serve(async (request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk);
        const { url, headers } = request;
        const { "x-step": step, "x-stamp": stamped, "x-secret": secret } = headers;
        response.end(JSON.stringify({ url, step, stamped, secret, body: Buffer.concat(chunks).toString() }));
      }),
    );
    const store = { state: ["orders"] };
    const plugins = {
      ledger: {
        module: await componentGuest({ source: ledger, world: "full-service", wasi: "none" }),
        manifest: {
          kind: "service",
          capabilities: { ...store, pubsub: ["events"] },
          subscriptions: [{ pubsub: "events", topic: "placed", deadLetterTopic: "letters", maxAttempts: 3 }],
          schedules: [{ name: "often", cron: "@every 1s" }],
        },
      },
      listener: {
        module: await componentGuest({
          source: listener,
          wit: `package test:listener;
            world listener {
              import wasi:keyvalue/store@0.2.0-draft2;
              import wasi:keyvalue/atomics@0.2.0-draft2;
              export wasmcloud:messaging/handler@0.2.0;
            }`,
          world: "listener",
        }),
        manifest: {
          kind: "service",
          capabilities: { ...store, pubsub: ["events"] },
          subscriptions: [
            { pubsub: "events", topic: "news" },
            { pubsub: "events", topic: "letters" },
          ],
        },
      },
      inventory: {
        module: (await build("inventory")).module,
        manifest: { kind: "service", capabilities: store, configuration: { store: "orders" } },
      },
      step: {
        module: await componentGuest({
          source: new URL("../integration/component-step.js", import.meta.url),
          world: "step",
        }),
        manifest: { kind: "filter" },
      },
      stamp: { module: await assemble("stamp", stamp()), manifest: { kind: "filter" } },
    };
    for (const [name, { module, manifest }] of Object.entries(plugins)) {
      await writeFile(join(path, "plugins", `${name}.yaml`), stringify({ name, version: "1.0.0", ...manifest }));
      await writeFile(join(path, "plugins", `${name}.wasm`), module);
    }
    const granted = { ...store, pubsub: ["events"] };
    sidecar = opened.use(
      await startSidecar(path, {
        app: { id: "shop", http: application.address },
        components: { state: { orders: { type: "memory" } }, pubsub: { events: { type: "memory" } } },
        plugins: { directory: "./plugins", grants: { ledger: granted, listener: granted, inventory: store } },
        ingress: {
          routes: [
            { match: { prefix: "/ledger/" }, to: { plugin: "ledger" } },
            { match: { prefix: "/inventory/" }, to: { plugin: "inventory" } },
            { match: { prefix: "/" }, filters: [{ plugin: "step" }, { plugin: "stamp" }], to: { app: true } },
          ],
        },
      }),
    );
    client = opened.use(new OutriggerClient({ address: sidecar.grpc }));
  });
  after(() => opened.disposeAsync());

  const kept = async (key: string): Promise<string | undefined> =>
    (await client.state.get({ store: "orders", key }))?.value.text();
  const publish = (topic: string, data: unknown): Promise<void> =>
    client.pubsub.publish({ pubsub: "events", topic, data: json(data) });
  /** Published until somebody takes it: what nobody subscribes to yet is gone. */
  const isHeard = (topic: string, data: unknown, key: string): Promise<void> =>
    eventually(`an event of '${topic}' is heard`, async () => {
      if ((await kept(key)) !== undefined) return true;
      await publish(topic, data);
      return false;
    });

  it("writes what an application and a module of Proxy-Wasm read, and reads what they write", async () => {
    const put = (path: string, body: string) => ask(sidecar.ingress, path, { method: "PUT", body });
    assert.equal((await put("/ledger/plum", '{"stock":5,"version":1}')).status, 200);
    assert.equal(await kept("plum"), '{"stock":5,"version":1}');
    const read = await ask(sidecar.ingress, "/inventory/plum");
    assert.deepEqual(JSON.parse(read.text), { sku: "plum", stock: 5, version: 1 });
    assert.equal((await put("/inventory/plum", '{"stock":7}')).status, 200);
    assert.deepEqual(JSON.parse((await ask(sidecar.ingress, "/ledger/plum")).text), { stock: 7, version: 2 });
    await client.state.save({ store: "orders", key: "plum", value: json({ stock: 9, version: 3 }) });
    assert.deepEqual(JSON.parse((await ask(sidecar.ingress, "/ledger/plum")).text), { stock: 9, version: 3 });
    assert.equal(JSON.parse((await ask(sidecar.ingress, "/inventory/plum")).text).stock, 9);
  });

  it("is told of events again until it takes them, and not of those that it drops", async () => {
    await isHeard("placed", { id: "first", answers: ["success"] }, "tries/first");
    await isHeard("letters", "first", "heard/letters");
    const before = Number(await kept("heard/letters"));
    for (const [id, answers] of Object.entries({
      taken: ["success"],
      late: ["retry", "success"],
      trapped: ["trap", "success"],
      dropped: ["drop"],
      never: ["retry"],
    }))
      await publish("placed", { id, answers });
    const tries = { taken: "1", late: "2", trapped: "2", dropped: "1", never: "3" };
    for (const [id, count] of Object.entries(tries))
      await eventually(`'${id}' is tried ${count} times`, async () => (await kept(`tries/${id}`)) === count);
    await eventually("two are dead letters", async () => Number(await kept("heard/letters")) >= before + 2);
    for (const [id, count] of Object.entries(tries)) assert.equal(await kept(`tries/${id}`), count, id);
  });

  it("hears messages as other runtimes bring them, again when it refused one", async () => {
    await isHeard("news", { headline: "rain" }, "heard/news");
    await eventually("it takes the next", async () => (await kept("said/news")) === '{"headline":"rain"}');
    assert.ok(Number(await kept("heard/news")) >= 2);
  });

  it("is woken by the clock", async () => {
    await eventually("it has ticked twice", async () => Number(await kept("ticks/often")) >= 2);
  });

  it("changes requests before a filter of Proxy-Wasm and an upstream see them, or answers itself", async () => {
    const question = { method: "POST", body: "text", headers: { "x-secret": "s" } };
    const passed = await ask(sidecar.ingress, "/as-it-is", question);
    assert.deepEqual(JSON.parse(passed.text), { url: "/as-it-is", stamped: "/as-it-is", secret: "s", body: "text" });
    assert.equal(passed.headers["x-stamped"], "yes");
    const changed = await ask(sidecar.ingress, "/changed", question);
    const inner = { url: "/new", step: "1", stamped: "/new", body: "TEXT" };
    assert.deepEqual([changed.status, changed.text], [202, `<${JSON.stringify(inner)}>`]);
    const refused = await ask(sidecar.ingress, "/refused", question);
    assert.deepEqual([refused.status, refused.text, refused.headers["x-stamped"]], [418, "no", undefined]);
  });
});

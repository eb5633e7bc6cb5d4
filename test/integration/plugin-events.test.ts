/** Events of topics and ticks of the clock, as they reach a real service and what its answers do. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { defaultCrashLimits } from "../../runtime/plugin/crash-budget.ts";
import { eventually } from "../conformance/backend.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { assemble } from "../support/wat.ts";
import { clerk, openEvents } from "./plugin-events-rig.ts";
import { compilePlugin } from "./plugin-sdk-guest.ts";

let wasm: Uint8Array<ArrayBuffer>;
before(async () => {
  wasm = await compilePlugin("sdk/test-plugin");
});

const about = (lines: readonly string[], text: string): string[] => lines.filter((line) => line.endsWith(` ${text}`));
const toLetters = { subscriptions: [{ pubsub: "events", topic: "orders", deadLetterTopic: "letters" }] };

describe("an event of a topic that a service subscribes to", () => {
  it("is posted to it as it was published: a CloudEvent, or raw with its own type", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm));
    await open.untilSubscribed();
    await open.publish("an order");
    await open.publish('{"id":7}', { contentType: "application/json" });
    await open.publish("some bytes", { contentType: "text/x-order", rawPayload: "true" });
    await open.publish(" odd bytes", { contentType: "image/png" });
    await eventually("all have come", () => about(open.told, "odd bytes").length === 1 && open.told.length >= 5);
    const path = "/events/events/orders";
    assert.ok(open.told.includes(`1 event orders text/plain ${path} an order`));
    assert.ok(open.told.includes(`1 event orders application/json ${path} {"id":7}`));
    assert.ok(open.told.includes(`1 raw orders text/x-order ${path} some bytes`));
    assert.ok(open.told.includes(`1 event orders image/png ${path}  odd bytes`));
  });

  it("comes to the path that the subscription names", async () => {
    await using open = await openEvents();
    const subscriptions = [{ pubsub: "events", topic: "a topic/of two", path: "/take?it=1" }];
    await open.registry.deploy(clerk(wasm, { subscriptions }));
    await open.untilSubscribed("a topic/of two");
    assert.match(open.told[0] ?? "", /^1 event a topic\/of two text\/plain \/take\?it=1 hello$/);
  });

  it("comes to the application, too, and to every other plugin that subscribes", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm));
    await open.registry.deploy(clerk(wasm, { name: "other", version: "other" }));
    const application: string[] = [];
    await using _ = await open.subscribe("orders", (text) => application.push(text));
    await open.untilSubscribed();
    await eventually("all get an event", async () => {
      await open.publish("an order");
      const plugins = new Set(about(open.told, "order").map((line) => line.split(" ")[0]));
      return plugins.size === 2 && application.includes("an order");
    });
  });

  it("is done by 2xx, whatever the body, unless that says otherwise", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm, toLetters));
    await open.untilSubscribed();
    for (const text of ["plain", "later", "retry", "drop", "odd", "fail", "missing"]) await open.publish(text);
    await eventually("the dead letters are there", () => open.letters.length === 5);
    assert.deepEqual(open.letters.toSorted(), ["drop", "fail", "missing", "odd", "retry"]);
    const tries = Object.fromEntries(
      ["plain", "later", "retry", "drop", "odd", "fail", "missing"].map((text) => [
        text,
        about(open.told, text).length,
      ]),
    );
    // `answered later` ends with the word, too.
    assert.deepEqual(tries, { plain: 1, later: 2, retry: 3, drop: 1, odd: 3, fail: 3, missing: 1 });
    const exposed = await open.metrics.expose();
    for (const [outcome, count] of Object.entries({ drop: 2, retry: 9 }))
      assert.ok(
        exposed.includes(
          `outrigger_plugin_deliveries_total{plugin="clerk",of="event",outcome="${outcome}"} ${count}\n`,
        ),
      );
    const posted = "plugin 'clerk' answered POST /events/events/orders with";
    assert.ok(open.messages.includes(`${posted} 404: no such thing; the event is dropped`));
    assert.ok(open.messages.includes(`an event of the topic 'orders' is not taken: ${posted} 500: it does not work`));
    await open.logged(/200: \{"status":"MAYBE"\}; expected a status of SUCCESS, RETRY or DROP$/);
  });

  it("is tried again when the guest never answers", async () => {
    await using open = await openEvents();
    const subscriptions = [{ ...toLetters.subscriptions[0], maxAttempts: 2, timeout: "100ms" }];
    await open.registry.deploy(clerk(wasm, { subscriptions }));
    await open.untilSubscribed();
    await open.publish("never");
    await eventually("the dead letter is there", () => open.letters.length === 1);
    assert.equal(about(open.told, "never").length, 2);
    await open.logged(
      /^an event of the topic 'orders' is not taken: plugin 'clerk' answered POST \S+ with 504: upstream request timeout$/,
    );
  });

  it("is tried again when the guest dies of it", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm, toLetters));
    await open.untilSubscribed();
    await open.publish("trap");
    await eventually("the dead letter is there", () => open.letters.length === 1);
    assert.ok(about(open.told, "trap").length > 0);
    await open.logged(/^an event of the topic 'orders' is not taken: plugin 'clerk' 1\S* trapped in/);
    await open.publish("an order");
    await eventually("the plugin goes on", () => about(open.told, "order").length > 0);
  });

  it("is not taken by a service that lets it pass without an answer, which the log says", async () => {
    await using open = await openEvents();
    const silent = await assemble(
      "silent-service",
      guestText(() => ({ on: { proxy_on_request_headers: "(i32.const 0)" } })),
    );
    await open.registry.deploy(clerk(silent, { ...toLetters, rootId: "" }));
    await eventually("the dead letter is there", async () => {
      if (open.letters.length > 0) return true;
      await open.publish("an order");
      return false;
    });
    await open.logged(
      /'clerk' let POST \/events\/events\/orders pass without an answer; send a local response, or pause/,
    );
  });

  it("is taken by a service that fills its answer in and goes on, as functions of Layotto do", async () => {
    await using open = await openEvents();
    const filling = await assemble(
      "filling-service",
      guestText((text) => ({
        on: {
          proxy_on_request_headers: `
            ${drop(`(call $proxy_replace_header_map_value (i32.const 2) ${text(":status")} ${text("204")})`)}
            (i32.const 0)`,
          proxy_on_request_body: `${drop(`(call $proxy_log (i32.const 2) ${text("an order is taken")})`)} (i32.const 0)`,
        },
      })),
    );
    await open.registry.deploy(clerk(filling, { ...toLetters, rootId: "" }));
    await eventually("it has taken some", async () => {
      await open.publish("an order");
      return about(open.told, "taken").length > 2;
    });
    assert.deepEqual(open.letters, []);
    assert.ok(open.messages.every((message) => !message.includes("is not taken")));
  });

  it("comes to a version that was brought back at the start", async () => {
    await using open = await openEvents();
    const { digest, manifest, manifestText, origin } = clerk(wasm);
    const stable = { version: manifest.version, digest, manifest: manifestText, origin, by: "test", deployedAt: 0 };
    await open.registry.restore({ plugin: "clerk", stable, trial: undefined, previous: [] }, async () => clerk(wasm));
    await open.untilSubscribed();
  });

  it("goes to the version on trial by its share, and counts there", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm));
    await open.untilSubscribed();
    const rollout = { canary: { percent: 50 }, window: "100ms", minimumStreams: 10, latency: 1e6 };
    await open.registry.deploy(clerk(wasm, { version: "2", rollout }));
    await eventually("the trial is over", async () => {
      await open.publish("an order");
      return open.registry.list()[0]?.trial === undefined;
    });
    assert.equal(open.registry.list()[0]?.version, "2");
    const orders = about(open.told, "order");
    const versions = new Set(orders.map((line) => line[0]));
    assert.deepEqual([...versions].sort(), ["1", "2"]);
  });

  it("makes a bad version on trial go, while each is taken in the end", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm));
    await open.untilSubscribed();
    const silent = await assemble(
      "dying-service",
      guestText(() => ({ on: { proxy_on_request_headers: "(unreachable)" } })),
    );
    const rollout = { canary: { percent: 50 }, promotion: "manual", minimumStreams: 5, latency: 1e6 };
    await open.registry.deploy(clerk(silent, { version: "2", rollout, rootId: "" }));
    let published = 0;
    await eventually("it is rolled back", async () => {
      await open.publish(`order-${published++}`);
      return open.registry.list()[0]?.lastTrial?.outcome === "rolled back";
    });
    const taken = (): number => new Set(open.told.filter((line) => line.includes("order-"))).size;
    await eventually("each order is taken", () => taken() === published);
  });

  it("is drained when the plugin is removed, and none comes after it", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm));
    await open.untilSubscribed();
    await open.publish("later");
    await open.registry.remove("clerk");
    await open.events[Symbol.asyncDispose]();
    const lines = open.told.length;
    await open.publish("an order");
    await open.publish("an order");
    assert.equal(open.told.length, lines);
    const began = open.told.filter((line) => line.endsWith("/orders later")).length;
    const ended = about(open.told, "answered later").length;
    assert.equal(began, ended, "what began has ended");
  });

  it("goes back to the broker when it fails after the plugin was removed, and is no dead letter", async () => {
    await using open = await openEvents();
    const subscriptions = [{ ...toLetters.subscriptions[0], maxAttempts: 1, timeout: "100ms" }];
    await open.registry.deploy(clerk(wasm, { subscriptions }));
    await open.untilSubscribed();
    await open.publish("never");
    await eventually("it is being worked on", () => about(open.told, "never").length > 0);
    await open.registry.remove("clerk");
    await open.events[Symbol.asyncDispose]();
    assert.deepEqual(open.letters, []);
  });

  it("waits while the plugin has crashed too often, and is no dead letter for that", async () => {
    await using open = await openEvents({ crashLimits: { ...defaultCrashLimits, most: 2 } });
    const dying = await assemble(
      "dying-service",
      guestText(() => ({ on: { proxy_on_request_headers: "(unreachable)" } })),
    );
    const subscriptions = [{ pubsub: "events", topic: "other" }, toLetters.subscriptions[0]];
    await open.registry.deploy(clerk(dying, { subscriptions, rootId: "" }));
    await eventually("it has crashed too often", async () => {
      // The version that works takes those that are left.
      await open.publish("a note", { topic: "other" });
      return open.registry.list()[0]?.state === "crashed";
    });
    await open.publish("an order");
    await open.registry.deploy(clerk(wasm, { version: "2", subscriptions }));
    await eventually("the version that works takes it", () => about(open.told, "order").length === 1);
    assert.deepEqual(open.letters, []);
  });

  it("comes as the stable version declares, which a switch changes at once", async () => {
    await using open = await openEvents();
    await open.registry.deploy(clerk(wasm));
    await open.untilSubscribed();
    const sales = { subscriptions: [{ pubsub: "events", topic: "sales" }] };
    await open.registry.deploy(clerk(wasm, { version: "2", ...sales }));
    await eventually("the other topic comes", async () => {
      await open.publish("a sale", { topic: "sales" });
      return open.told.some((line) => line.startsWith("2 event sales"));
    });
    const lines = about(open.told, "order").length;
    await open.publish("an order");
    await open.registry.rollback("clerk", "test");
    await eventually("the first topic comes again", async () => {
      await open.publish("an order");
      return about(open.told, "order").length > lines;
    });
    assert.ok(about(open.told, "order").every((line) => line.startsWith("1 ")));
  });
});

describe("a schedule of a service", () => {
  it("posts its ticks with their data and times, one at a time, until the version goes", async () => {
    await using open = await openEvents();
    const schedules = [{ name: "often", cron: "@every 100ms", data: { what: "sweep" } }];
    await open.registry.deploy(clerk(wasm, { subscriptions: [], schedules }));
    await eventually("it ticks", () => open.told.length >= 3);
    const times = open.told.map((line) => /^1 tick often (\S+Z) \{"what":"sweep"\}$/.exec(line)?.[1] ?? "");
    assert.ok(
      times.every((time) => !Number.isNaN(Date.parse(time))),
      open.told.join("\n"),
    );
    assert.deepEqual(times, times.toSorted());
    assert.equal(new Set(times).size, times.length);
    await open.registry.deploy(clerk(wasm, { version: "2", subscriptions: [], schedules: [] }));
    await open.events[Symbol.asyncDispose]();
    assert.ok(open.told.every((line) => line.startsWith("1 ")));
  });
});

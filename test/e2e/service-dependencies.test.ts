/** What a service needs of its sidecar: components that are there and granted, topics and the clock, over kills and restarts. */
import assert from "node:assert/strict";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { stringify } from "yaml";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { compilePlugin } from "../integration/plugin-sdk-guest.ts";
import { ask } from "../support/http.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { startRedis } from "../support/redis-server.ts";
import { type LogLine, onFreePorts, type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

let wasm: Uint8Array;
before(async () => {
  wasm = await compilePlugin("sdk/test-plugin");
});

const topic = { pubsub: "events", topic: "orders" };

/** Lays the plugin `clerk` into the directory. */
async function lay(directory: string, manifest: Readonly<Record<string, unknown>>): Promise<void> {
  const text = stringify({ name: "clerk", kind: "service", rootId: "clerk", ...manifest });
  await writeFile(join(directory, "plugins/clerk.yaml"), text);
  await writeFile(join(directory, "plugins/clerk.part"), wasm);
  await rename(join(directory, "plugins/clerk.part"), join(directory, "plugins/clerk.wasm"));
}

const configured = (
  components: Readonly<Record<string, object>>,
  granted: Readonly<Record<string, readonly string[]>>,
): Record<string, unknown> => ({
  app: { id: "shop" },
  components,
  plugins: { directory: "./plugins", grants: { clerk: granted } },
  ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "clerk" } }] },
});

const told = ({ log }: Sidecar, text: string): number =>
  log.filter(({ plugin, msg }) => plugin === "clerk" && msg.endsWith(` ${text}`)).length;

async function reconfigure({ directory, log }: Sidecar, configuration: Record<string, unknown>): Promise<void> {
  const inForce = (): number => log.filter(({ msg }) => msg === "the changed configuration is in force").length;
  const before = inForce();
  await writeFile(join(directory, "next.yaml"), stringify(onFreePorts(configuration)));
  await rename(join(directory, "next.yaml"), join(directory, "outrigger.yaml"));
  await eventually("the change is in force", () => inForce() > before);
}

/** Publishes until one has come: what nobody subscribes to is gone. */
async function untilSubscribed(sidecar: Sidecar, client: OutriggerClient): Promise<void> {
  const count = told(sidecar, '"hello"');
  await eventually("the plugin subscribes", async () => {
    if (told(sidecar, '"hello"') > count) return true;
    await client.pubsub.publish({ ...topic, data: json("hello") });
    return false;
  });
}

describe("a service that needs components", () => {
  it("is refused with the name of each that is missing or not granted, and deployed when all are there", async () => {
    await using directory = await temporaryDirectory();
    const capabilities = { state: ["orders"], lock: ["jobs"], config: ["settings"] };
    await lay(directory.path, { capabilities, subscriptions: [topic] });
    const memory = { type: "memory" };
    const some = { state: { cache: memory }, config: { settings: memory } };
    await using sidecar = await startSidecar(directory.path, configured(some, { config: ["settings"] }));
    const refusal = (what: string): Promise<LogLine> =>
      sidecar.logged(({ msg, err }) => `${msg} ${JSON.stringify(err)}`.includes(`plugin 'clerk' asks for ${what}`));
    const asked = "state store 'orders', pub/sub component 'events' and lock store 'jobs', which";
    const there = "(there are state stores: cache; pub/sub components: none; lock stores: none)";
    const ungranted = "plugins.grants does not give it";
    await refusal(`${asked} ${ungranted}; it needs ${asked} are not configured ${there}`);
    assert.equal((await ask(sidecar.ingress, "/a")).status, 503);

    const most = { ...some, state: { orders: memory }, pubsub: { events: memory } };
    await reconfigure(sidecar, configured(most, { state: ["orders"], config: ["settings"] }));
    assert.equal((await ask(sidecar.ingress, "/a")).status, 503);
    const all = { ...most, lock: { jobs: memory } };
    const granted = { ...capabilities, pubsub: ["events"] };
    await reconfigure(sidecar, configured(all, { ...granted, state: [] }));
    await refusal(`state store 'orders', which ${ungranted}`);
    await reconfigure(sidecar, configured(all, granted));
    await eventually("it serves", async () => (await ask(sidecar.ingress, "/a")).text === "a client asks for /a");
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await untilSubscribed(sidecar, client);

    // A component that somebody is granted cannot go; without the grant the plugin goes, too.
    const { pubsub: _, ...less } = all;
    await reconfigure(sidecar, configured(less, { ...granted, pubsub: [] }));
    await eventually("it is taken out of service", async () => (await ask(sidecar.ingress, "/a")).status === 503);
    await reconfigure(sidecar, configured(all, granted));
    await eventually("it serves again", async () => (await ask(sidecar.ingress, "/b")).status === 200);
    await untilSubscribed(sidecar, client);
  });

  it("is refused when its cron never comes", async () => {
    await using directory = await temporaryDirectory();
    await lay(directory.path, { schedules: [{ name: "never", cron: "0 0 30 2 *" }] });
    await using sidecar = await startSidecar(directory.path, configured({}, {}));
    const refused = await sidecar.logged(({ msg, err }) => /schedule 'never'/.test(`${msg} ${JSON.stringify(err)}`));
    const message = "has a mistake in the cron of its schedule 'never': expected a schedule that comes at some time";
    assert.ok(JSON.stringify(refused).includes(message), JSON.stringify(refused));
  });

  it("takes nobody's request for an event, whatever a filter in front of it claims", async () => {
    await using directory = await temporaryDirectory();
    await lay(directory.path, {});
    const claims = guestText((text) => ({
      on: {
        proxy_on_request_headers: `
          ${drop(`(call $proxy_set_property ${text("outrigger\0origin")} ${text("sidecar")})`)}
          (i32.const 0)`,
      },
    }));
    await writeFile(join(directory.path, "plugins/claims.wasm"), await assemble("claims-origin", claims));
    const configuration = configured({}, {});
    const ingress = { routes: [{ match: { prefix: "/" }, to: { plugin: "clerk" }, filters: ["claims"] }] };
    await using sidecar = await startSidecar(directory.path, { ...configuration, ingress });
    const headers = { "x-outrigger-pubsub": "events", "x-outrigger-topic": "orders" };
    const answer = await ask(sidecar.ingress, "/events/events/orders", { method: "POST", body: "drop", headers });
    assert.equal(answer.text, "a client asks for /events/events/orders");
  });
});

describe("events from Redis for a service", () => {
  it("are shared by its sidecars, and come again when one was killed before it took them", async () => {
    await using redis = await startRedis();
    await using one = await temporaryDirectory();
    await using other = await temporaryDirectory();
    const events = { type: "redis", url: `redis://${redis.address}`, claimIdleMs: 300, concurrency: 8 };
    const configuration = configured({ pubsub: { events } }, { pubsub: ["events"] });
    const subscriptions = [{ ...topic, deadLetterTopic: "letters" }];
    for (const { path } of [one, other]) await lay(path, { subscriptions });
    await using first = await startSidecar(one.path, configuration);
    await using client = new OutriggerClient({ address: first.grpc });
    await untilSubscribed(first, client);
    await using second = await startSidecar(other.path, configuration);
    await eventually("the other one gets events, too", async () => {
      await client.pubsub.publish({ ...topic, data: json("hello") });
      return told(second, '"hello"') > 0;
    });
    const publish = (text: string): Promise<void> =>
      client.pubsub.publish({ ...topic, data: Buffer.from(text), contentType: "text/plain" });
    for (let count = 0; count < 20; count++) await publish(`order-${count}`);
    const times = (count: number): number => told(first, `order-${count}`) + told(second, `order-${count}`);
    await eventually("each has come once", () =>
      Array.from({ length: 20 }, (_, at) => times(at)).every((n) => n === 1),
    );

    // The other one goes in good order; what the first one holds when it is killed comes again after its restart.
    await second.stop();
    await publish("never taken");
    await eventually("it has begun", () => told(first, "never taken") === 1);
    await first.stop("SIGKILL");
    await rm(join(one.path, "outrigger.yaml"));
    await using again = await startSidecar(one.path, configuration);
    await eventually("it comes again", () => told(again, "never taken") === 1);
  });
});

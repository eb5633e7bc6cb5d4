/** What the tests of events for plugins share: a registry, topics in memory, and guests that say what they were told. */
import { stringify } from "yaml";
import { memoryPubSub } from "../../components/pubsub/memory.ts";
import { PubSubBlock } from "../../runtime/api/pubsub.ts";
import { storeSet } from "../../runtime/api/stores.ts";
import { makeArtifact, type PluginArtifact } from "../../runtime/plugin/artifact.ts";
import type { PluginRegistryOptions } from "../../runtime/plugin/registry.ts";
import { PluginEvents } from "../../runtime/plugin-events.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { eventually } from "../conformance/backend.ts";
import { callContext, oneStore } from "../support/api.ts";
import { openContext } from "../support/open-context.ts";
import { keepLog, openRegistry } from "../support/plugin-registry.ts";

/** The plugin `clerk` of that module; the manifest is laid over one that subscribes to `orders`. */
export const clerk = (
  wasm: Uint8Array<ArrayBuffer>,
  manifest: Readonly<Record<string, unknown>> = {},
): PluginArtifact => {
  const text = stringify({
    name: "clerk",
    version: "1",
    kind: "service",
    rootId: "clerk",
    subscriptions: [{ pubsub: "events", topic: "orders" }],
    ...manifest,
  });
  return makeArtifact(wasm, "clerk.wasm", { text, path: "clerk.yaml" });
};

/** `told` has the lines that guests logged, each after the version that it came from. */
export async function openEvents(options: Partial<PluginRegistryOptions> = {}) {
  await using opening = new AsyncDisposableStack();
  const store = opening.use(await memoryPubSub.open(memoryPubSub.config.parse({}), openContext("events")));
  const stores = storeSet("pubsub", oneStore("events", store));
  const told: string[] = [];
  const kept = keepLog();
  const metrics = new Metrics();
  const pubsub = opening.use(
    new PubSubBlock({ stores, appId: "shop", maxAttempts: 3, drainMs: 300, log: kept.log, metrics }),
  );
  const events: PluginEvents = new PluginEvents({
    appId: "shop",
    pubsub,
    use: (plugin) => open.registry.use(plugin, {}),
    log: kept.log,
    metrics,
  });
  const open = opening.use(
    openRegistry({
      engines: [proxyWasmEngine()],
      grants: { clerk: granted, other: granted },
      switched: (plugin, manifest) => events.declare(plugin, manifest),
      logged: ({ version }, message) => told.push(`${version} ${message}`),
      ...options,
    }),
  );
  opening.use(events);
  /** As the application does. */
  const subscribe = (topic: string, got: (text: string) => void): Promise<AsyncDisposable> =>
    pubsub.subscribe({ pubsub: "events", topic, metadata: {} }, async ({ data }) => {
      got(Buffer.from(data).toString());
      return "success";
    });
  const letters: string[] = [];
  opening.use(await subscribe("letters", (text) => letters.push(text)));
  const publish = (
    data: string,
    { topic = "orders", contentType = "text/plain", ...metadata }: Readonly<Record<string, string>> = {},
  ): Promise<void> =>
    pubsub.publish({ pubsub: "events", topic, data: Buffer.from(data), contentType, metadata }, callContext());
  const owned = opening.move();
  return {
    ...kept,
    registry: open.registry,
    events,
    told,
    /** Texts of the events that went to the topic `letters`. */
    letters,
    publish,
    subscribe,
    metrics,
    /** Publishes until the plugin has been told: what nobody subscribes to yet is gone. */
    untilSubscribed: (topic = "orders") =>
      eventually("the plugin subscribes", async () => {
        if (told.some((line) => line.includes(" hello"))) return true;
        await publish("hello", { topic });
        return false;
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const granted = {
  state: [],
  pubsub: ["events"],
  config: [],
  lock: [],
  sequencer: [],
  secret: [],
  binding: [],
  object: [],
  invoke: [],
  upstreams: [],
  foreign: [],
};

/** The interfaces that others laid down too, as components use them, on every backend. */
import { after, before, describe, it } from "node:test";
import { startEtcd } from "../../support/etcd-server.ts";
import { startKafka } from "../../support/kafka-server.ts";
import { startNats } from "../../support/nats-server.ts";
import { startPostgres } from "../../support/postgres-server.ts";
import { startedFor } from "../../support/programs.ts";
import { startRedis } from "../../support/redis-server.ts";
import { configurationChecks, loggingChecks } from "./configuration.ts";
import { keyvalueChecks } from "./keyvalue.ts";
import { messagingChecks } from "./messaging.ts";
import { spinStoreChecks, spinVariableChecks } from "./spin.ts";
import { openStandardScene, type StandardScene, type Tested } from "./standard-scene.ts";

/** Registers what holds for the components; they stand on nothing, or on a server that runs while the tests do. */
function onBackend(name: string, open: () => Promise<{ tested: Tested } & AsyncDisposable>, kinds: readonly string[]) {
  describe(name, () => {
    const opened = new AsyncDisposableStack();
    let scene: StandardScene | undefined;
    let starting: Promise<StandardScene> | undefined;
    before(async () => {
      starting = open().then(async (backend) => opened.use(await openStandardScene(opened.use(backend).tested)));
      await Promise.allSettled([starting]);
    });
    after(() => opened.disposeAsync());
    const current = (): StandardScene => {
      if (scene === undefined) throw new Error("the components run only while tests do");
      return scene;
    };
    const check = (what: string, body: () => Promise<void>) =>
      it(what, async (context) => {
        scene = await startedFor(context, async () => starting);
        if (scene !== undefined) await body();
      });
    if (kinds.includes("state")) describe("wasi:keyvalue", () => keyvalueChecks(check, current, "tested", true));
    if (kinds.includes("config")) describe("wasi:config", () => configurationChecks(check, current, "tested"));
    if (kinds.includes("state")) describe("fermyon:spin/key-value", () => spinStoreChecks(check, current, "tested"));
    if (kinds.includes("config"))
      describe("fermyon:spin/variables", () => spinVariableChecks(check, current, "tested"));
    if (kinds.includes("pubsub")) describe("wasmcloud:messaging", () => messagingChecks(check, current, "tested"));
    if (kinds.includes("logging")) describe("wasi:logging", () => loggingChecks(check, current));
  });
}

const alone = (tested: Tested) => async () => ({ tested, [Symbol.asyncDispose]: async () => undefined });

const on =
  <Server extends AsyncDisposable>(start: () => Promise<Server>, testedOn: (server: Server) => Tested) =>
  async () => {
    const server = await start();
    return { tested: testedOn(server), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  };

const memory = { type: "memory" };
onBackend("memory", alone({ state: memory, config: memory, pubsub: memory }), ["state", "config", "pubsub", "logging"]);
onBackend("sqlite, and files", alone({ state: { type: "sqlite" }, config: { type: "file", path: "./settings" } }), [
  "state",
  "config",
]);
onBackend(
  "redis",
  on(startRedis, ({ address }) => {
    const settings = { type: "redis", url: `redis://${address}` };
    return { state: settings, config: settings, pubsub: { ...settings, claimIdleMs: 1_500 } };
  }),
  ["state", "config", "pubsub"],
);
onBackend(
  "nats",
  on(startNats, ({ address }) => {
    const settings = { type: "nats", servers: [address] };
    return { state: settings, config: settings, pubsub: { ...settings, ackWaitMs: 2_000 } };
  }),
  ["state", "config", "pubsub"],
);
onBackend(
  "etcd",
  on(startEtcd, ({ address }) => {
    const settings = { type: "etcd", endpoints: [address] };
    return { state: settings, config: settings };
  }),
  ["state", "config"],
);
onBackend(
  "postgres",
  on(startPostgres, ({ url }) => ({ state: { type: "postgres", url } })),
  ["state"],
);
onBackend(
  "kafka",
  on(
    () => startKafka("4.4.0"),
    ({ address }) => ({
      pubsub: { type: "kafka", brokers: [address], sessionTimeoutMs: 3_000, heartbeatIntervalMs: 300 },
    }),
  ),
  ["pubsub"],
);

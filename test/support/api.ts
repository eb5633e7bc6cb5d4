/** The API with real components in memory, alone and behind real gRPC. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localBinding } from "../../components/binding/local.ts";
import type { CallContext, ComponentDefinition } from "../../components/component.ts";
import { memoryConfigStore } from "../../components/config/memory.ts";
import { memoryLockStore } from "../../components/lock/memory.ts";
import { localObjectStore } from "../../components/object/local.ts";
import { memoryPubSub } from "../../components/pubsub/memory.ts";
import { envSecretStore } from "../../components/secret/env.ts";
import { memorySequencer } from "../../components/sequencer/memory.ts";
import { memoryStateStore } from "../../components/state/memory.ts";
import { BindingBlock } from "../../runtime/api/binding.ts";
import { createConfig } from "../../runtime/api/config.ts";
import { createFiles } from "../../runtime/api/file.ts";
import { createInvoke } from "../../runtime/api/invoke.ts";
import { type Blocks, createRuntimeService } from "../../runtime/api/layotto/runtime-service.ts";
import { createLock } from "../../runtime/api/lock.ts";
import { PubSubBlock } from "../../runtime/api/pubsub.ts";
import { createSecrets } from "../../runtime/api/secret.ts";
import { createSequencer } from "../../runtime/api/sequencer.ts";
import { createState } from "../../runtime/api/state.ts";
import { type OpenedStore, storeSet } from "../../runtime/api/stores.ts";
import { configurationSchema } from "../../runtime/config/schema.ts";
import { Upstreams } from "../../runtime/egress/upstreams.ts";
import { GrpcChannels } from "../../runtime/grpc/client.ts";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import { createLog, type Log } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { openContext } from "./open-context.ts";
import { environmentWith } from "./secret-places.ts";

export const silentLog = createLog({ level: "silent" });

/** A log, and when it first said the message. */
export function logUntil(message: string): { readonly log: Log; readonly said: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const write = (line: string): void => {
    if (line.includes(`"msg":${JSON.stringify(message)}`)) resolve();
  };
  return { log: createLog({ level: "info", destination: { write } }), said: promise };
}

/** A call as the transport would describe it. */
export const callContext = (changes: Partial<CallContext> = {}): CallContext => ({
  signal: new AbortController().signal,
  peer: { address: "test" },
  appId: "app",
  log: silentLog,
  ...changes,
});

/** Opens a component with its default settings. */
export function openComponent<Component extends AsyncDisposable>(
  definition: ComponentDefinition<Component>,
  name = "store",
): Promise<Component> {
  return definition.open(definition.config.parse({}), openContext(name));
}

/** A store as `storeSet` takes it, of a backend that can everything. */
export const openedStore = <S>(name: string, store: S, keyPrefix = ""): OpenedStore<S> => ({
  name,
  type: "memory",
  store,
  capabilities: new Set(["transactions", "keys", "ttl", "durable", "ordered", "redelivery", "consecutive", "metadata"]),
  keyPrefix,
});

/** A map with one opened store. */
export const oneStore = <S>(name: string, store: S, keyPrefix = ""): Map<string, OpenedStore<S>> =>
  new Map([[name, openedStore(name, store, keyPrefix)]]);

/** What the secret store holds; applications may read those that begin with EXAMPLE_. */
const secrets = { EXAMPLE_TOKEN: { EXAMPLE_TOKEN: "an example" }, PASSWORD: { PASSWORD: "nobody's business" } };

/** Every block over memory components named as in outrigger.yaml, with upstreams of the caller's. */
export interface ApiParts extends AsyncDisposable {
  readonly blocks: Blocks;
}

export async function openApiParts(upstreams: Readonly<Record<string, object>> = {}): Promise<ApiParts> {
  const open = new AsyncDisposableStack();
  const metrics = new Metrics();
  const state = open.use(await openComponent(memoryStateStore, "inventory"));
  const pubsub = open.use(await openComponent(memoryPubSub, "events"));
  const config = open.use(await openComponent(memoryConfigStore, "settings"));
  const lock = open.use(await openComponent(memoryLockStore, "jobs"));
  const sequencer = open.use(await openComponent(memorySequencer, "ids"));
  const secret = open.use(await envSecretStore.open(environmentWith(secrets), openContext("vault")));
  const directory = await mkdtemp(join(tmpdir(), "outrigger-files-"));
  open.defer(() => rm(directory, { recursive: true, force: true }));
  const files = localObjectStore.config.parse({ path: join(directory, "files"), maxFileBytes: 32 * 1024 ** 2 });
  const object = open.use(await localObjectStore.open(files, openContext("files")));
  const reports = localBinding.config.parse({ path: join(directory, "reports") });
  const binding = open.use(await localBinding.open(reports, openContext("reports")));
  const configured = configurationSchema.parse({ upstreams }).upstreams;
  const http = open.use(new Upstreams({ upstreams: configured, log: silentLog }));
  const grpc = open.use(new GrpcChannels(4 * 1024 ** 2));
  return {
    blocks: {
      state: createState(storeSet("state", oneStore("inventory", state))),
      pubsub: new PubSubBlock({
        stores: storeSet("pubsub", oneStore("events", pubsub)),
        appId: "app",
        log: silentLog,
        metrics,
      }),
      config: createConfig(storeSet("config", oneStore("settings", config))),
      lock: createLock(storeSet("lock", oneStore("jobs", lock))),
      sequencer: createSequencer(storeSet("sequencer", oneStore("ids", sequencer))),
      secret: createSecrets(
        storeSet("secret", new Map([["vault", { ...openedStore("vault", secret), allow: ["EXAMPLE_*"] }]])),
      ),
      file: createFiles(storeSet("object", oneStore("files", object))),
      binding: new BindingBlock({ stores: storeSet("binding", oneStore("reports", binding)), log: silentLog, metrics }),
      invoke: createInvoke({
        names: () => http.names,
        http: (upstream, request, signal, caller) => http.httpCall(upstream, request, signal, caller),
        grpc: (upstream, request, signal, timeoutMs) =>
          grpc.call(http.address(upstream) ?? "", request, { signal, timeoutMs }),
      }),
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** The API as applications meet it: gRPC on a free port. */
export interface ServedApi extends ApiParts {
  /** `host:port`. */
  readonly address: string;
}

/** `shape` may put something in front of a block, to see what passes. */
export async function serveApi(
  upstreams: Readonly<Record<string, object>> = {},
  shape: (blocks: Blocks) => Blocks = (blocks) => blocks,
): Promise<ServedApi> {
  const open = new AsyncDisposableStack();
  const blocks = shape(open.use(await openApiParts(upstreams)).blocks);
  const listener = open.use(
    await http2Transport.serve({
      addresses: ["127.0.0.1:0"],
      services: [createRuntimeService(blocks)],
      maxMessageBytes: 4 * 1024 ** 2,
      appId: "app",
      log: silentLog,
      metrics: new Metrics(),
    }),
  );
  const [address = ""] = listener.addresses;
  return { blocks, address, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

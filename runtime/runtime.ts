/**
 * The sidecar, put together: components, the API over them, upstreams, plugins, ingress, gRPC and admin open in that order
 * and close in reverse. This file alone knows all the parts.
 */
import { existsSync } from "node:fs";
import { catalog } from "../components/catalog.ts";
import { makeFolder } from "../components/clients/make-folder.ts";
import { RuntimeError } from "../components/error.ts";
import { codeOf } from "../components/thrown.ts";
import { type Admin, openAdmin } from "./admin/admin.ts";
import { type HealthReport, healthOf } from "./admin/health.ts";
import { tokensOf } from "./admin/protect.ts";
import { BindingBlock } from "./api/binding.ts";
import { createConfig } from "./api/config.ts";
import { createFiles } from "./api/file.ts";
import { guestApi } from "./api/guest-api.ts";
import { type GuestTargets, hostServices } from "./api/host-services.ts";
import { createInvoke } from "./api/invoke.ts";
import { type Blocks, createRuntimeService } from "./api/layotto/runtime-service.ts";
import { createLock } from "./api/lock.ts";
import { checkGrants } from "./api/method-grants.ts";
import { PubSubBlock } from "./api/pubsub.ts";
import { createSecrets } from "./api/secret.ts";
import { createSequencer } from "./api/sequencer.ts";
import { createState } from "./api/state.ts";
import { openApplication } from "./application.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import { load, loadOptions } from "./configuration-file.ts";
import { guestHttp } from "./egress/guest-http.ts";
import { ServiceProxy } from "./egress/service-proxy.ts";
import { Upstreams } from "./egress/upstreams.ts";
import { CallsInFlight } from "./grpc/calls-in-flight.ts";
import { GrpcChannels, refusedStream } from "./grpc/client.ts";
import { openHealth } from "./grpc/health.ts";
import { http2Transport } from "./grpc/http2-transport.ts";
import { inProcessCaller } from "./grpc/in-process.ts";
import { reflectionServices } from "./grpc/reflection.ts";
import type { GrpcListener } from "./grpc/transport.ts";
import { Ingress } from "./ingress/ingress.ts";
import { TcpIngress } from "./ingress/tcp-ingress.ts";
import { late } from "./late.ts";
import { lifecycleOf } from "./lifecycle.ts";
import { LiveConfiguration } from "./live-configuration.ts";
import { openComponents } from "./open-components.ts";
import { PluginLogRates } from "./plugin/log-rate.ts";
import { PluginLogs } from "./plugin/plugin-logs.ts";
import { PluginMetricsStore } from "./plugin/plugin-metrics.ts";
import { PluginRegistry } from "./plugin/registry.ts";
import { SharedDataStore } from "./plugin/shared-data.ts";
import { SharedQueueStore } from "./plugin/shared-queues.ts";
import { bringUpPlugins, openPluginDisk } from "./plugin-disk.ts";
import { PluginEvents } from "./plugin-events.ts";
import { PluginHost } from "./plugin-host.ts";
import { unmetNeeds } from "./plugin-needs.ts";
import { type Reconfigurable, reconfigure } from "./reconfigure.ts";
import { settleWhenIdle } from "./settle.ts";
import { accessLog } from "./telemetry/access-log.ts";
import { connectionLog } from "./telemetry/connection-log.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { version } from "./version.ts";

const defaultFile = "outrigger.yaml";
/** Shorter than the 30 seconds that Kubernetes waits before it kills. */
const drainMs = 25_000;
/** Longest that closing takes after that, whatever a server that hangs keeps waiting for. */
const closeMs = 4_000;

/** Runs the sidecar until SIGTERM, SIGINT or SIGHUP, drains it and resolves; a second signal ends it at once. */
export async function run(file: string | undefined, say: (line: string) => void): Promise<void> {
  const found = file ?? (existsSync(defaultFile) ? defaultFile : undefined);
  const loaded = await load(found);
  const log = createLog({ level: loaded.configuration.log.level });
  process.on("uncaughtExceptionMonitor", (error) => log.fatal({ err: error }, "the sidecar fails and ends"));
  // A panic in a plugin of Rust has more than the usual ten functions above the one that is to blame.
  Error.stackTraceLimit = 30;
  const stopping = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping.signal.aborted) process.exit(1);
    log.info({ signal }, "draining");
    stopping.abort();
  };
  process.on("SIGTERM", stop).on("SIGINT", stop).on("SIGHUP", stop);
  await using runtime = await openRuntime(loaded, log);
  say(runtime.banner);
  using _settling = settleWhenIdle();
  const reloading = runtime.follow(stopping.signal);
  await new Promise((resolve) => {
    if (stopping.signal.aborted) resolve(undefined);
    stopping.signal.addEventListener("abort", resolve, { once: true });
  });
  await reloading;
  await runtime.drain(drainMs);
  setTimeout(() => {
    log.error("a component does not close in time; the sidecar ends without it");
    process.exit(1);
  }, closeMs).unref();
}

/** The sidecar while it serves. */
export interface Runtime extends AsyncDisposable {
  /** One line: what listens where. */
  readonly banner: string;
  /** Applies each change of the configuration file until the signal aborts. */
  follow(signal: AbortSignal): Promise<void>;
  /** Takes nothing new and lets what is in flight end. */
  drain(deadlineMs: number): Promise<void>;
}

/** Opens every part; rejects with a sentence when one cannot be, with nothing left open. */
export async function openRuntime(loaded: LoadedConfiguration, log: Log): Promise<Runtime> {
  const { configuration } = loaded;
  const { app, api, admin, plugins, ingress: ingressConfiguration } = configuration;
  await using opening = new AsyncDisposableStack();
  await makeDataDirectory(configuration.data.directory);

  const metrics = new Metrics();
  const life = { isDraining: false };
  const calls = new CallsInFlight();
  const components = opening.use(await openComponents(loaded, catalog, { log, metrics, calls }));
  const upstreams = opening.use(new Upstreams({ upstreams: configuration.upstreams, application: app, log }));
  const channels = opening.use(new GrpcChannels(api.maxMessageBytes));
  const targets = invokeTargets(upstreams, channels);

  const pubsub = new PubSubBlock({ stores: components.storesOf("pubsub"), appId: app.id, log, metrics });
  const binding = new BindingBlock({ stores: components.storesOf("binding"), log, metrics });
  const blocks: Blocks = {
    state: createState(components.storesOf("state")),
    config: createConfig(components.storesOf("config")),
    lock: createLock(components.storesOf("lock")),
    sequencer: createSequencer(components.storesOf("sequencer")),
    secret: createSecrets(components.storesOf("secret")),
    file: createFiles(components.storesOf("object")),
    binding,
    invoke: createInvoke(targets),
    pubsub,
  };
  const service = createRuntimeService(blocks);
  const methods = inProcessCaller([service], calls);
  const sharedData = new SharedDataStore();
  const sharedQueues = new SharedQueueStore();
  const pluginMetrics = new PluginMetricsStore(metrics, {
    tags: plugins.metricTags,
    slow: (plugin, tag) => log.warn({ plugin }, `the regex of the metric tag '${tag}' took too long and is left out`),
  });
  const pluginLogs = new PluginLogs();
  const pluginLogRates = opening.use(new PluginLogRates());
  const pluginDisk = opening.use(await openPluginDisk(configuration.data.directory, log));
  const pluginHost = opening.use(new PluginHost(configuration.data.directory));
  const events = new PluginEvents({ appId: app.id, pubsub, use: (plugin) => registry.use(plugin, {}), log, metrics });
  const registry = opening.use(
    new PluginRegistry({
      toolchain: () => pluginHost.load(),
      store: pluginDisk.store,
      keep: plugins.keep,
      grants: plugins.grants,
      requires: (manifest) => unmetNeeds(manifest, () => components.all()),
      switched: (plugin, manifest) => events.declare(plugin, manifest),
      log,
      metrics,
      services: (plugin) => {
        const logged = (level: string, message: string) => pluginLogs.add(plugin.name, plugin.version, level, message);
        return hostServices({
          plugin: plugin.name,
          version: plugin.version,
          appId: app.id,
          upstreams: plugin.capabilities.upstreams,
          methods: {
            has: methods.has,
            call: (method, message, call) =>
              methods.call(method, message, call, (name, request) =>
                checkGrants(plugin.name, plugin.capabilities, name, request),
              ),
          },
          calls: targets,
          metrics: pluginMetrics.of(plugin.name),
          sharedData: sharedData.of(plugin),
          sharedQueues: sharedQueues.of(plugin),
          api: guestApi(
            {
              plugin: plugin.name,
              version: plugin.version,
              grants: plugin.capabilities,
              appId: app.id,
              log,
              logged,
              calls,
            },
            blocks,
            guestHttp(plugin.name, plugin.capabilities.upstreams, upstreams),
          ),
          mayLog: pluginLogRates.of(plugin.name),
          logged,
          log,
        });
      },
    }),
  );
  opening.use(events);
  const parts = Promise.withResolvers<Reconfigurable>();
  const live = new LiveConfiguration(
    loaded,
    loadOptions,
    async (before, next) => reconfigure(before, next, await parts.promise),
    log,
  );
  const { directory } = plugins;
  const signatures = () => live.current.configuration.plugins.signatures;
  opening.use(await bringUpPlugins({ disk: pluginDisk, registry, directory, signatures, log }));
  opening.use(await upstreams.filterWith(registry));
  const administration = late(async () => {
    const { openDeployments } = await import("./plugin-deployments.ts");
    return openDeployments(pluginDisk, registry, () => live.current.configuration.plugins);
  });

  const names = ["spec.proto.runtime.v1.Runtime", "spec.proto.runtime.v1.Lifecycle", "grpc.health.v1.Health"];
  const health = openHealth(names);
  const grpc = opening.use(
    await http2Transport.serve({
      addresses: api.grpc,
      services: [service, lifecycleOf(live, tokensOf(admin)), health.service, ...reflectionServices(names)],
      unknown: new ServiceProxy({ appId: app.id, upstreams, metrics }),
      maxMessageBytes: api.maxMessageBytes,
      appId: app.id,
      log,
      metrics,
      calls,
    }),
  );
  const ingress = opening.use(
    await Ingress.open({
      config: ingressConfiguration,
      plugins: registry,
      upstreams,
      log,
      metrics,
      onComplete: accessLog(log),
      isRecording: () => log.isLevelEnabled("info"),
    }),
  );
  const tcp = opening.use(
    await TcpIngress.open({
      config: ingressConfiguration,
      plugins: registry,
      upstreams,
      log,
      metrics,
      onComplete: connectionLog(log),
    }),
  );
  const readiness = (): HealthReport => {
    const missing = [...new Set([...upstreams.readiness(), ...ingress.readiness(), ...tcp.readiness()])];
    return readinessOf(missing, components.statuses.down, life.isDraining, live.trouble);
  };
  const opened = opening.use(
    await openAdmin({
      http: admin.http,
      probes: admin.probes,
      wasmAddress: admin.wasmAddress,
      tokens: tokensOf(admin),
      version,
      liveness: () => healthOf({ process: { status: "UP" } }),
      readiness,
      plugins: administration,
      logs: pluginLogs,
      setLogLevel: (level) => {
        log.level = level;
      },
      metrics,
      log,
    }),
  );
  const callbacks = opening.use(await openApplication(loaded, { pubsub, bindings: binding, upstreams, catalog, log }));
  parts.resolve({ upstreams, registry, ingress, tcp, components, application: callbacks, log });
  health.set(true);

  const owned = opening.move();
  return {
    banner: bannerOf(grpc, ingress, tcp, opened),
    follow: (signal) => live.follow(signal),
    async drain(deadlineMs) {
      life.isDraining = true;
      health.set(false);
      await Promise.all([callbacks[Symbol.asyncDispose](), events[Symbol.asyncDispose]()]);
      // Requests of the ingress may call the API, so it goes on until they have ended.
      await Promise.all([ingress.drain(deadlineMs), tcp.drain(deadlineMs)]);
      await grpc.drain(deadlineMs);
      log.info("drained");
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function makeDataDirectory(path: string): Promise<void> {
  try {
    await makeFolder(path);
  } catch (cause) {
    const why = codeOf(cause) ?? String(cause);
    const message = `data.directory '${path}' cannot be made (${why}); name a folder that can be written to`;
    throw new RuntimeError("FAILED_PRECONDITION", "FOLDER_UNUSABLE", message, { cause });
  }
}

function invokeTargets(upstreams: Upstreams, channels: GrpcChannels): GuestTargets {
  const noUpstream = (upstream: string): string =>
    `there is no upstream '${upstream}'; there are ${upstreams.names.join(", ")}`;
  return {
    names: () => upstreams.names,
    http: (upstream, request, signal, caller) => upstreams.httpCall(upstream, request, signal, caller),
    grpc: async (upstream, request, signal, timeoutMs, caller) => {
      const { address, through } = upstreams.grpc(upstream, caller);
      if (address !== undefined) return channels.call(address, request, { signal, timeoutMs, through });
      return { code: 14, details: noUpstream(upstream), initialMetadata: [], trailingMetadata: [] };
    },
    grpcStream: (upstream, request, receiver, caller) => {
      const { address, through } = upstreams.grpc(upstream, caller);
      return address === undefined
        ? refusedStream(14, noUpstream(upstream), receiver)
        : channels.stream(address, request, receiver, through);
    },
  };
}

function readinessOf(
  missing: readonly string[],
  down: ReadonlyMap<string, string>,
  isDraining: boolean,
  refused: string | undefined,
): HealthReport {
  const plugins = missing.map((name) => `plugin '${name}' cannot serve`).join("; ");
  return healthOf({
    runtime_startup: isDraining ? { status: "DOWN", details: { reason: "the sidecar is draining" } } : { status: "UP" },
    plugins: plugins === "" ? { status: "UP" } : { status: "DOWN", details: { reason: plugins } },
    // The configuration before goes on serving.
    ...(refused !== undefined && {
      configuration: { status: "UP", details: { reason: `refused: ${refused}` } } as const,
    }),
    ...Object.fromEntries([...down].map(([id, reason]) => [id, { status: "DOWN", details: { reason } }] as const)),
  });
}

function bannerOf(
  grpc: GrpcListener,
  ingress: Ingress,
  tcp: TcpIngress,
  { address, probesAddress, wasmAddress }: Admin,
): string {
  const streams = tcp.addresses.length === 0 ? "" : `, TCP ${tcp.addresses.join(" and ")}`;
  const probes = probesAddress === undefined ? "" : `, probes http://${probesAddress}`;
  const wasm = wasmAddress === undefined ? "" : `, functions http://${wasmAddress}`;
  return `outrigger ${version} serves: gRPC ${grpc.addresses.join(" and ")}, ingress http://${ingress.address}${streams}, admin http://${address}${probes}${wasm}`;
}

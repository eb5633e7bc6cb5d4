import { refusedStream } from "../../runtime/grpc/client.ts";
import type { PluginEngine } from "../../runtime/plugin/contract.ts";
import { PluginMetricsStore } from "../../runtime/plugin/plugin-metrics.ts";
import { type GrantedPlugin, PluginRegistry, type PluginRegistryOptions } from "../../runtime/plugin/registry.ts";
import { SandboxCompiler } from "../../runtime/plugin/sandbox/compiler.ts";
import { SharedDataStore } from "../../runtime/plugin/shared-data.ts";
import { SharedQueueStore } from "../../runtime/plugin/shared-queues.ts";
import { createLog, type Log } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { toyEngine } from "./toy-engine.ts";
import { unusedApi } from "./unused-api.ts";

/** A log that is kept. */
export interface KeptLog {
  readonly log: Log;
  readonly messages: string[];
  /** Resolves to the first message, past or future, that matches. */
  logged(pattern: RegExp): Promise<string>;
}

export function keepLog(): KeptLog {
  const messages: string[] = [];
  let more = Promise.withResolvers<void>();
  const destination = {
    write(line: string): void {
      messages.push(String((JSON.parse(line) as { msg: unknown }).msg));
      more.resolve();
      more = Promise.withResolvers<void>();
    },
  };
  const logged = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = messages.find((message) => pattern.test(message));
      if (found !== undefined) return found;
      await more.promise;
    }
  };
  return { log: createLog({ level: "debug", destination }), messages, logged };
}

/** A registry with the real compiler, toy guests unless told otherwise, and services that reach nothing. */
export function openRegistry({
  engines = [toyEngine],
  logged = () => {},
  ...options
}: Partial<PluginRegistryOptions> & {
  readonly engines?: readonly PluginEngine[];
  /** Told what guests log. */
  readonly logged?: (plugin: GrantedPlugin, message: string) => void;
} = {}) {
  const kept = keepLog();
  const metrics = new Metrics();
  const sharedData = new SharedDataStore();
  const sharedQueues = new SharedQueueStore();
  const compiler = new SandboxCompiler();
  const pluginMetrics = new PluginMetricsStore(metrics);
  const unreachable = () => Promise.reject(new Error("nothing is reachable here"));
  const registry = new PluginRegistry({
    toolchain: async () => ({ engines, compiler }),
    grants: {},
    log: kept.log,
    metrics,
    services: (plugin) => ({
      log: (_level, message) => logged(plugin, message),
      logLevel: "info",
      metrics: pluginMetrics.of(plugin.name),
      sharedData: sharedData.of(plugin),
      sharedQueues: sharedQueues.of(plugin),
      hasUpstream: () => true,
      httpCall: unreachable,
      grpcCall: unreachable,
      grpcStream: (_upstream, _request, receiver) => refusedStream(14, "nothing is reachable here", receiver),
      getState: unreachable,
      invokeService: unreachable,
      hasMethod: () => false,
      property: () => undefined,
      api: unusedApi,
    }),
    ...options,
  });
  return {
    ...kept,
    registry,
    metrics,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await compiler[Symbol.asyncDispose]();
    },
  };
}

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { listen } from "../listen.ts";
import type { Deployments } from "../plugin/deployments.ts";
import type { LayottoDeployments } from "../plugin/layotto-deployments.ts";
import type { PluginLogs } from "../plugin/plugin-logs.ts";
import type { Log, LogLevel } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { HealthReport } from "./health.ts";
import { probeRoutes, processRoutes } from "./process-routes.ts";
import type { Protection } from "./protect.ts";
import { onlyRoutes, type RouteTable, withLateRoutes } from "./route-table.ts";
import { serve } from "./serve.ts";

/** What is done to plugins, as the admin API and Layotto's routes offer it. */
export interface PluginAdministration {
  readonly deployments: Deployments;
  readonly functions: LayottoDeployments;
}

/** What the admin API shows and controls. */
export interface AdminOptions {
  /** `host:port` of the whole API. */
  readonly http: string;
  /** `host:port` of a second listener with health and metrics only. */
  readonly probes?: string | undefined;
  /** `host:port` of a third one with Layotto's routes only. */
  readonly wasmAddress?: string | undefined;
  /** Bearer tokens by the names of who has them. */
  readonly tokens: ReadonlyMap<string, string>;
  readonly version: string;
  readonly liveness: () => HealthReport;
  readonly readiness: () => HealthReport;
  /** Asked for when a request is about plugins. */
  readonly plugins: () => Promise<PluginAdministration>;
  readonly logs: PluginLogs;
  readonly setLogLevel: (level: LogLevel) => void;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** The admin API while it listens. */
export interface Admin extends AsyncDisposable {
  readonly address: string;
  readonly probesAddress: string | undefined;
  readonly wasmAddress: string | undefined;
}

/** How long an answer that is being written may take once the API closes. */
const lastAnswerMs = 1_000;
/** Longest time that a request may take to come; what is no upload has less, and an upload must not pause. */
const requestMs = 1_800_000;

/** Clients are told how long a connection is kept; it is kept longer, for a request that a busy machine brings late. */
const lateRequestMs = 60_000;

/** Opens the admin listener, and those for probes and for Layotto's routes when they have addresses. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  await using opened = new AsyncDisposableStack();
  const open = async (address: string, listening: Listening): Promise<string> =>
    opened.use(await openListener(address, listening, options)).address;
  const { http, probes, wasmAddress } = options;
  const routes = withLateRoutes(processRoutes(options), async () => (await import("./routes.ts")).adminRoutes(options));
  const functions = withLateRoutes([], async () => (await import("./routes.ts")).functionRoutes(options));
  const main = await open(http, { routes, isProtected: true });
  const probesAt = probes === undefined ? undefined : await open(probes, { routes: onlyRoutes(probeRoutes(options)) });
  const wasmAt =
    wasmAddress === undefined
      ? undefined
      : await open(wasmAddress, { routes: functions, isProtected: true, hasEmptyErrors: true });
  const owned = opened.move();
  return {
    address: main,
    probesAddress: probesAt,
    wasmAddress: wasmAt,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Listening {
  readonly routes: RouteTable;
  /** Default false. */
  readonly isProtected?: boolean;
  /** Whether a path that is unknown is answered with nothing, as Layotto does; default false. */
  readonly hasEmptyErrors?: boolean;
}

async function openListener(
  address: string,
  { routes, isProtected = false, hasEmptyErrors = false }: Listening,
  { tokens, log }: AdminOptions,
): Promise<{ readonly address: string } & AsyncDisposable> {
  let protection: Protection | undefined;
  const closing = new AbortController();
  const server = createServer({
    headersTimeout: 5_000,
    requestTimeout: requestMs,
    keepAliveTimeout: 5_000,
    keepAliveTimeoutBuffer: lateRequestMs,
    maxHeaderSize: 256 * 1024,
  });
  const answering = new Set<Promise<void>>();
  const answer = (request: IncomingMessage, response: ServerResponse, proceed: () => void): void => {
    const answered = Promise.withResolvers<void>();
    answering.add(answered.promise);
    response.once("close", () => {
      answering.delete(answered.promise);
      answered.resolve();
    });
    const serving = { routes, protection, hasEmptyErrors, closing: closing.signal, log };
    void serve(request, response, serving, proceed);
  };
  server.on("request", (request, response) => answer(request, response, () => {}));
  server.on("checkContinue", (request, response) => answer(request, response, () => response.writeContinue()));
  const listener = await listen(address, (socket) => server.emit("connection", socket));
  // Sockets come from elsewhere; this is what makes node:http keep account of them and of the time their requests take.
  server.emit("listening");
  if (isProtected) protection = { address: listener.address, tokens };
  return {
    address: listener.address,
    [Symbol.asyncDispose]: async () => {
      await listener.stop();
      server.close();
      closing.abort();
      server.closeIdleConnections();
      const late = new AbortController();
      await Promise.race([Promise.all(answering), delay(lastAnswerMs, undefined, { signal: late.signal })]);
      late.abort();
      server.closeAllConnections();
    },
  };
}

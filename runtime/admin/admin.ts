import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { listen } from "../listen.ts";
import type { PluginStatus } from "../plugin/status.ts";
import type { Log, LogLevel } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { HealthReport } from "./health.ts";
import { type Protection, refuse } from "./protect.ts";
import { adminRoutes, probeRoutes, type Route } from "./routes.ts";

/** What the admin API shows and controls. */
export interface AdminOptions {
  /** `host:port` of the whole API. */
  readonly http: string;
  /** `host:port` of a second listener with health and metrics only. */
  readonly probes?: string | undefined;
  readonly token?: string | undefined;
  readonly version: string;
  readonly liveness: () => HealthReport;
  readonly readiness: () => HealthReport;
  readonly plugins: () => readonly PluginStatus[];
  readonly setLogLevel: (level: LogLevel) => void;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** The admin API while it listens. */
export interface Admin extends AsyncDisposable {
  readonly address: string;
  readonly probesAddress: string | undefined;
}

const maxBodyBytes = 1024 ** 2;
/** How long an answer that is being written may take once the API closes. */
const lastAnswerMs = 1_000;

/** Opens the admin listener, and the one for probes when it has an address. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  await using opened = new AsyncDisposableStack();
  const main = opened.use(await openListener(options.http, adminRoutes(options), options, true));
  const probes =
    options.probes === undefined
      ? undefined
      : opened.use(await openListener(options.probes, probeRoutes(options), options, false));
  const owned = opened.move();
  return {
    address: main.address,
    probesAddress: probes?.address,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openListener(
  address: string,
  routes: readonly Route[],
  { token, log }: AdminOptions,
  isProtected: boolean,
): Promise<{ readonly address: string } & AsyncDisposable> {
  let protection: Protection | undefined;
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 5_000 });
  const answering = new Set<Promise<void>>();
  server.on("request", (request, response) => {
    const answered = Promise.withResolvers<void>();
    answering.add(answered.promise);
    response.once("close", () => {
      answering.delete(answered.promise);
      answered.resolve();
    });
    const refusal = protection === undefined ? undefined : refuse(request, protection);
    if (refusal !== undefined) {
      request.resume();
      return sendJson(response, refusal.status, { error: refusal.message });
    }
    serve(request, response, routes).catch((error: unknown) => {
      log.error({ err: error, method: request.method, path: request.url }, "an admin request failed");
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: "the request failed; the log says why" });
    });
  });
  const listener = await listen(address, (socket) => server.emit("connection", socket));
  // Sockets come from elsewhere; this is what makes node:http keep account of them and of the time their requests take.
  server.emit("listening");
  if (isProtected) protection = { address: listener.address, token };
  return {
    address: listener.address,
    [Symbol.asyncDispose]: async () => {
      await listener.stop();
      server.close();
      server.closeIdleConnections();
      const late = new AbortController();
      await Promise.race([Promise.all(answering), delay(lastAnswerMs, undefined, { signal: late.signal })]);
      late.abort();
      server.closeAllConnections();
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, routes: readonly Route[]): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  const method = request.method === "HEAD" ? "GET" : request.method;
  const onPath = routes.filter((route) => route.path === path);
  const route = onPath.find((one) => one.method === method);
  if (route === undefined) {
    request.resume();
    if (onPath.length === 0) {
      return sendJson(response, 404, {
        error: `there is no ${path}; there are ${routes.map((one) => one.path).join(", ")}`,
      });
    }
    response.setHeader("allow", onPath.map((one) => one.method).join(", "));
    return sendJson(response, 405, { error: `${path} does not answer ${request.method}` });
  }
  const body = await readBody(request);
  if (body === undefined) {
    response.setHeader("connection", "close");
    return sendJson(response, 413, { error: `the body is larger than ${maxBodyBytes} bytes` });
  }
  const reply = await route.answer(body);
  const { status = 200, type = "application/json" } = reply;
  const text = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
  send(response, status, type, text);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, "application/json", JSON.stringify(body));
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

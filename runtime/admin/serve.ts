/** How the admin API reads requests and writes answers. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../telemetry/log.ts";
import { authorize, contentTypeOf, isOwn, type Protection, type Refusal } from "./protect.ts";
import { type AdminRequest, BadRequest, type LinesReply, matchPath, type Reply, type Route } from "./route.ts";
import type { RouteTable } from "./route-table.ts";

const maxBodyBytes = 1024 ** 2;
/** Longest time that a body of text may take. */
const bodyMs = 10_000;
/** What is sent of a body that was turned away is read so long, so that the answer is not lost by a reset. */
const turnedAwayMs = 1_000;
/** Who does not read lines gets no more until they do; those that wait longer lose the connection. */
const slowReaderMs = 30_000;

export interface Serving {
  readonly routes: RouteTable;
  /** Undefined where everyone may ask for what there is. */
  readonly protection: Protection | undefined;
  /** What is said where nothing is; default a sentence with the paths there are. */
  readonly hasEmptyErrors: boolean;
  /** Aborts when the API closes. */
  readonly closing: AbortSignal;
  readonly log: Log;
}

/** Answers one request; `proceed` is called before its body is read. */
export async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  serving: Serving,
  proceed: () => void,
): Promise<void> {
  const { protection, log } = serving;
  try {
    const url = splitUrl(request.url ?? "/");
    const method = request.method === "HEAD" ? "GET" : request.method;
    const routes = await serving.routes(url.path);
    const onPath = routes.flatMap((route) => {
      const parameters = matchPath(route.path, url.path);
      return parameters === undefined ? [] : [{ route, parameters }];
    });
    const found = onPath.find(({ route }) => route.method === method);
    const admitted = protection === undefined ? { by: "" } : admit(request, protection, found?.route);
    if ("status" in admitted) return turnAway(request, response, admitted.status, { error: admitted.message });
    if (found === undefined)
      return notFound(request, response, url.path, { onPath, routes, hasEmptyErrors: serving.hasEmptyErrors });
    proceed();
    const { route, parameters } = found;
    const reply = await route.answer({
      ...parts(request, response, serving.closing),
      parameters,
      query: url.query,
      by: admitted.by,
    });
    if ("lines" in reply && request.method === "HEAD") sendReply(response, { type: "application/x-ndjson", body: "" });
    else if ("lines" in reply) await sendLines(response, reply);
    else if (request.readableEnded || !hasBody(request)) sendReply(response, reply);
    else turnAway(request, response, reply.status ?? 200, reply.body);
  } catch (error) {
    if (error instanceof BadRequest && !response.headersSent) {
      return turnAway(request, response, error.status, { error: error.message });
    }
    if (response.destroyed) return;
    log.error({ err: error, method: request.method, path: request.url }, "an admin request failed");
    if (response.headersSent) response.destroy();
    else turnAway(request, response, 500, { error: "the request failed; the log says why" });
  }
}

function admit(request: IncomingMessage, protection: Protection, route: Route | undefined): { by: string } | Refusal {
  const stranger = isOwn(request, protection);
  if (stranger !== undefined) return stranger;
  const isOpen = (request.method === "GET" || request.method === "HEAD") && route?.isPrivate !== true;
  if (isOpen) return { by: "" };
  const admitted = authorize(request, protection);
  if ("status" in admitted || !hasBody(request)) return admitted;
  const takes = route?.takes ?? ["application/json"];
  if (takes.includes(contentTypeOf(request))) return admitted;
  return { status: 415, message: `expected the content type ${takes.join(" or ")}` };
}

interface Unfound extends Pick<Serving, "hasEmptyErrors"> {
  readonly onPath: readonly { readonly route: Route }[];
  readonly routes: readonly Route[];
}

function notFound(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { onPath, routes, hasEmptyErrors }: Unfound,
): void {
  if (onPath.length > 0) {
    response.setHeader("allow", onPath.map(({ route }) => route.method).join(", "));
    turnAway(request, response, 405, { error: `${path} does not answer ${request.method}` });
    return;
  }
  const paths = [...new Set(routes.map((one) => one.path))].join(", ");
  turnAway(request, response, 404, hasEmptyErrors ? "" : { error: `there is no ${path}; there are ${paths}` });
}

function parts(
  request: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Pick<AdminRequest, "contentType" | "text" | "stream" | "accepts" | "signal"> {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  else response.once("close", () => gone.abort());
  return {
    contentType: hasBody(request) ? contentTypeOf(request) : "",
    text: () => readText(request),
    stream: request,
    accepts: (type) => (request.headers.accept ?? "").toLowerCase().includes(type),
    signal: AbortSignal.any([gone.signal, closing]),
  };
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";

function splitUrl(url: string): { readonly path: string; readonly query: URLSearchParams } {
  const [path = "/", ...rest] = url.split("?");
  return { path, query: new URLSearchParams(rest.join("?")) };
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => request.destroy(), bodyMs);
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += chunk.length;
      if (size > maxBodyBytes) throw new BadRequest(`the body is larger than ${maxBodyBytes} bytes`, 413);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Answers before the whole body has come; what comes of it is thrown away for a moment, and then the connection is closed. */
function turnAway(request: IncomingMessage, response: ServerResponse, status: number, body: unknown): void {
  if (!request.readableEnded && hasBody(request)) {
    response.shouldKeepAlive = false;
    request.resume();
    // The request itself has lost its socket when a pipeline was fed from it.
    const timer = setTimeout(() => response.socket?.destroy(), turnedAwayMs);
    response.once("close", () => clearTimeout(timer));
  }
  sendReply(response, { status, body });
}

function sendReply(response: ServerResponse, { status = 200, type = "application/json", body }: Reply): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { ...headersOf(type), "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function sendLines(response: ServerResponse, { lines }: LinesReply): Promise<void> {
  // A body that was refused in the middle may still be on its way.
  response.shouldKeepAlive = false;
  response.writeHead(200, headersOf("application/x-ndjson"));
  response.flushHeaders();
  for await (const line of lines) {
    if (response.destroyed) return;
    if (response.write(`${JSON.stringify(line)}\n`)) continue;
    const timer = setTimeout(() => response.destroy(), slowReaderMs);
    await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
    clearTimeout(timer);
  }
  response.end();
}

const headersOf = (type: string): Record<string, string> => ({
  "content-type": type,
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
});

import http from "node:http";
import { HeaderList } from "../proxy/headers.ts";
import { isHopByHop, removeHopByHop } from "../proxy/hop-by-hop.ts";
import { declaredLength } from "../proxy/outlet.ts";
import type { Endpoint } from "./endpoint-source.ts";

/**
 * Why an attempt ended without a whole response: `connect` no connection came about; `stale` a connection kept from
 * before turned out to be closed; `lost` the connection broke; `malformed` what came back is not HTTP.
 */
export type AttemptFault = "connect" | "stale" | "lost" | "malformed";

export interface AttemptEvents {
  /** There is a connection; nothing that was written before is lost if the attempt fails earlier. */
  connected(localAddress: string): void;
  head(headers: HeaderList, endOfStream: boolean): void;
  data(chunk: Uint8Array, endOfStream: boolean): void;
  trailers(trailers: HeaderList): void;
  drained(): void;
  failed(fault: AttemptFault, error: Error): void;
}

/** One request on its way to one endpoint. */
export interface Attempt {
  /** Bytes of a body were handed over; they are gone when the attempt fails. */
  readonly wrote: boolean;
  /** False when the connection is slow: `drained` tells when it wants more. */
  write(chunk: Uint8Array): boolean;
  end(trailers: HeaderList | undefined): void;
  /** Sends the head now, though no body has come yet. */
  flushHead(): void;
  pause(): void;
  resume(): void;
  /** Nothing is wanted any more, neither of the response nor the rest of the request; no event follows. */
  cancel(): void;
}

export interface Http1PoolOptions {
  readonly connectTimeoutMs: number;
  /** Idle connections are closed after this. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionsPerEndpoint: number;
  readonly maxHeaderBytes: number;
}

/** Connections to HTTP/1.1 endpoints, kept alive between requests. */
export class Http1Pool implements Disposable {
  readonly #options: Http1PoolOptions;
  readonly #agent: http.Agent;

  constructor(options: Http1PoolOptions) {
    this.#options = options;
    this.#agent = new http.Agent({
      keepAlive: true,
      scheduling: "lifo",
      maxSockets: options.maxConnectionsPerEndpoint,
      maxFreeSockets: 256,
      timeout: options.idleTimeoutMs,
    });
  }

  /** Begins a request; `headers` hold the pseudo fields `:method`, `:path` and `:authority`. Throws when they cannot be sent. */
  open(endpoint: Endpoint, headers: HeaderList, endOfStream: boolean, events: AttemptEvents): Attempt {
    const method = headers.get(":method") ?? "GET";
    const request = http.request({
      agent: this.#agent,
      host: endpoint.host,
      port: endpoint.port,
      method,
      path: headers.get(":path") ?? "/",
      headers: fieldsOf(headers, method, endOfStream, endpoint),
      setHost: false,
      maxHeaderSize: this.#options.maxHeaderBytes,
      insecureHTTPParser: false,
    });
    return attach(request, method, events, this.#options.connectTimeoutMs);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function attach(request: http.ClientRequest, method: string, events: AttemptEvents, connectTimeoutMs: number): Attempt {
  /** No fault is told any more: the response is whole, or nobody wants it. */
  let done = false;
  let cancelled = false;
  let connected = false;
  let responded = false;
  let paused = false;
  let wrote = false;
  let response: http.IncomingMessage | undefined;
  let timer: NodeJS.Timeout | undefined;

  const stopTimer = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  const finish = () => {
    done = true;
    stopTimer();
  };
  const failed = (error: Error & { code?: string }) => {
    if (done) return;
    finish();
    const closed = error.code === "ECONNRESET" || error.code === "EPIPE";
    if (!connected) events.failed("connect", error);
    else if (error.code?.startsWith("HPE_")) events.failed("malformed", error);
    else events.failed(request.reusedSocket && closed && !responded ? "stale" : "lost", error);
    request.destroy();
  };

  request.on("socket", (socket) => {
    const ready = () => {
      stopTimer();
      if (done || connected) return;
      connected = true;
      events.connected(socket.localAddress === undefined ? "" : `${socket.localAddress}:${socket.localPort}`);
    };
    if (!socket.connecting) {
      ready();
      return;
    }
    socket.once("connect", ready);
    if (!done) timer = setTimeout(() => failed(new Error("the connection took too long")), connectTimeoutMs);
  });
  request.on("error", failed);
  request.on("close", () => {
    // With a response under way its own events tell; it may be whole already and wait here to be read.
    if (!responded) failed(new Error("the connection was closed before a response came"));
  });
  request.on("drain", () => {
    if (!done) events.drained();
  });
  request.on("response", (incoming) => {
    responded = true;
    response = incoming;
    incoming.on("error", failed);
    incoming.on("close", () => failed(new Error("the connection was closed in the middle of the response")));
    if (done) return;
    receive(incoming, method, {
      head: (headers, ends) => events.head(headers, ends),
      data: (chunk, ends) => {
        if (!cancelled) events.data(chunk, ends);
      },
      trailers: (trailers) => {
        if (!cancelled) events.trailers(trailers);
      },
      ended: finish,
    });
    if (paused) incoming.pause();
  });

  return {
    get wrote() {
      return wrote;
    },
    write: (chunk) => {
      wrote = true;
      return request.write(chunk);
    },
    end: (trailers) => {
      if (trailers !== undefined) request.addTrailers(pairsOf(trailers));
      request.end();
    },
    flushHead: () => request.flushHeaders(),
    pause: () => {
      paused = true;
      response?.pause();
    },
    resume: () => {
      paused = false;
      response?.resume();
    },
    cancel: () => {
      cancelled = true;
      finish();
      request.destroy();
    },
  };
}

interface Received {
  head(headers: HeaderList, endOfStream: boolean): void;
  data(chunk: Uint8Array, endOfStream: boolean): void;
  trailers(trailers: HeaderList): void;
  /** Called before the event that ends the response. */
  ended(): void;
}

function receive(incoming: http.IncomingMessage, method: string, to: Received): void {
  const status = incoming.statusCode ?? 502;
  const headers = HeaderList.fromRaw([":status", String(status), ...incoming.rawHeaders]);
  removeHopByHop(headers);
  headers.settle();
  let left = declaredLength(headers);
  if (method === "HEAD" || status === 204 || status === 304 || left === 0) {
    // The connection goes back to the pool when the (empty) body was read.
    incoming.resume();
    to.ended();
    to.head(headers, true);
    return;
  }
  let over = false;
  incoming.on("data", (chunk: Uint8Array) => {
    if (left !== undefined) left -= chunk.length;
    if (left === 0) {
      over = true;
      to.ended();
    }
    to.data(chunk, over);
  });
  incoming.on("end", () => {
    if (over || !incoming.complete) return;
    over = true;
    to.ended();
    if (incoming.rawTrailers.length > 0) to.trailers(HeaderList.fromRaw(incoming.rawTrailers));
    else to.data(new Uint8Array(0), true);
  });
  to.head(headers, false);
}

const withBody = new Set(["POST", "PUT", "PATCH"]);

/** The head as it goes on the wire; framing is decided here and nowhere else. */
function fieldsOf(headers: HeaderList, method: string, endOfStream: boolean, endpoint: Endpoint): string[] {
  const fields: string[] = ["host", headers.get(":authority") || `${endpoint.host}:${endpoint.port}`];
  const flat = headers.flat;
  let declared = false;
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (name.startsWith(":") || name === "host" || isHopByHop(name)) continue;
    if (name === "content-length") {
      if (declared || (endOfStream && value !== "0")) continue;
      declared = true;
    }
    fields.push(name, value);
  }
  if (!declared && endOfStream && withBody.has(method)) fields.push("content-length", "0");
  if (!declared && !endOfStream) fields.push("transfer-encoding", "chunked");
  return fields;
}

function pairsOf(trailers: HeaderList): [string, string][] {
  return trailers.entries().map(([name, value]) => [name, value]);
}

import http from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionFacts, Serve } from "../proxy/exchange.ts";
import { Http1Exchange, lingerAfterEnd } from "./http1-exchange.ts";
import { requestHead } from "./http1-request.ts";

/** A request that was refused before there was an exchange. */
export interface Refusal {
  readonly status: number;
  readonly details: string;
  readonly message: string;
}

export interface Http1ServerOptions {
  readonly serve: Serve;
  readonly maxHeaderBytes: number;
  /** A client has this long to send a head. */
  readonly headTimeoutMs: number;
  /** Connections without a request are closed after this. */
  readonly idleConnectionMs: number;
  readonly refused: (refusal: Refusal, connection: ConnectionFacts | undefined, request?: http.IncomingMessage) => void;
}

/** Speaks HTTP/1.1 on the sockets it is given and makes an exchange of every request. */
export class Http1Server {
  readonly #options: Http1ServerOptions;
  readonly #server: http.Server;
  readonly #connections = new Map<net.Socket, Connection>();
  #nextConnection = 1;
  #draining = false;
  readonly #empty: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(options: Http1ServerOptions) {
    this.#options = options;
    this.#server = http.createServer({
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: options.idleConnectionMs,
      connectionsCheckingInterval: Math.max(10, Math.min(1_000, options.headTimeoutMs / 2)),
      insecureHTTPParser: false,
    });
    // node:http drops fields beyond this count without a word; their bytes are limited already.
    this.#server.maxHeadersCount = 0;
    this.#server.on("request", (request, response) => this.#exchange(request, response, false));
    this.#server.on("checkContinue", (request, response) => this.#exchange(request, response, true));
    this.#server.on("connect", (_request, socket) => {
      this.#refuseRaw(socket, { status: 501, details: "connect_refused", message: "CONNECT is not supported" });
    });
    this.#server.on("clientError", (error, socket) => this.#unreadable(error, socket));
    // Sockets come from elsewhere; this is what makes node:http watch over the time heads take.
    this.#server.emit("listening");
  }

  /** Takes over a connection. */
  accept(socket: net.Socket): void {
    const facts = factsOf(socket, this.#nextConnection++);
    const connection: Connection = { facts, exchanges: new Set() };
    this.#connections.set(socket, connection);
    socket.once("close", () => {
      // Responses that wait behind another one on the connection learn of its end in no other way.
      for (const exchange of connection.exchanges) exchange.disconnected();
      this.#connections.delete(socket);
      if (this.#draining && this.#connections.size === 0) this.#empty.resolve();
    });
    this.#server.emit("connection", socket);
  }

  /** Connections close once they are idle, and responses that begin now say so; resolves when there are none left. */
  drain(): Promise<void> {
    this.#draining = true;
    this.#server.closeIdleConnections();
    if (this.#connections.size === 0) this.#empty.resolve();
    return this.#empty.promise;
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    const empty = this.drain();
    this.#server.close();
    for (const socket of this.#connections.keys()) socket.destroy();
    await empty;
  }

  #exchange(request: http.IncomingMessage, response: http.ServerResponse, expectsContinue: boolean): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) return;
    const head = requestHead(request, connection.facts);
    if ("status" in head) {
      this.#options.refused(head, connection.facts, request);
      this.#refuse(request, response, head);
      return;
    }
    const exchange = new Http1Exchange(request, response, head, () => this.#draining);
    connection.exchanges.add(exchange);
    response.once("close", () => {
      connection.exchanges.delete(exchange);
      if (this.#draining) setImmediate(() => this.#server.closeIdleConnections());
    });
    const { facts } = connection;
    const protocol = request.httpVersion === "1.0" ? "HTTP/1.0" : "HTTP/1.1";
    exchange.begin(this.#options.serve, protocol === facts.protocol ? facts : { ...facts, protocol });
    if (expectsContinue && !response.headersSent && !response.writableEnded) response.writeContinue();
  }

  #connectionOf(socket: Duplex): Connection | undefined {
    return socket instanceof net.Socket ? this.#connections.get(socket) : undefined;
  }

  #refuse(request: http.IncomingMessage, response: http.ServerResponse, refusal: Refusal): void {
    lingerAfterEnd(request.socket);
    request.resume();
    response.shouldKeepAlive = false;
    response.writeHead(refusal.status, { "content-type": "text/plain; charset=utf-8" });
    response.end(`${refusal.message}\n`);
  }

  /** What came cannot be read as HTTP, or not in time. */
  #unreadable(error: Error & { code?: string }, socket: Duplex): void {
    const open = this.#connectionOf(socket);
    const answering = open !== undefined && [...open.exchanges].some((exchange) => exchange.answered);
    if (!socket.writable || error.code === "ECONNRESET" || answering) {
      socket.destroy();
      return;
    }
    this.#refuseRaw(socket, refusalOf(error));
  }

  #refuseRaw(socket: Duplex, refusal: Refusal): void {
    this.#options.refused(refusal, this.#connectionOf(socket)?.facts);
    const body = `${refusal.message}\n`;
    const head = `HTTP/1.1 ${refusal.status} ${http.STATUS_CODES[refusal.status] ?? ""}`;
    socket.end(
      `${head}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      () => socket.destroy(),
    );
  }
}

interface Connection {
  readonly facts: ConnectionFacts;
  readonly exchanges: Set<Http1Exchange>;
}

function factsOf(socket: net.Socket, id: number): ConnectionFacts {
  return {
    id,
    protocol: "HTTP/1.1",
    scheme: "http",
    remoteAddress: socket.remoteAddress ?? "",
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? "",
    localPort: socket.localPort ?? 0,
  };
}

function refusalOf(error: Error & { code?: string }): Refusal {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return { status: 431, details: "headers_too_large", message: "the request's header fields are too large" };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return {
        status: 413,
        details: "chunk_extensions_too_large",
        message: "the request's chunk extensions are too large",
      };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, details: "request_head_timeout", message: "the request's head took too long" };
    default:
      return { status: 400, details: "malformed_request", message: "the request is not valid HTTP/1.1" };
  }
}

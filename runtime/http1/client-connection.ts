import net from "node:net";
import type { ClientFault } from "./client-contract.ts";
import type { ClientExchange } from "./client-exchange.ts";
import type { FlushTurn } from "./flush-turn.ts";
import type { Http1Limits } from "./limits.ts";
import { MessageFault, malformed } from "./message-fault.ts";
import { Outflow } from "./outflow.ts";
import type { ResponseHead } from "./response-head.ts";
import { ResponseParser, type ResponseSink } from "./response-parser.ts";

/** Where a server listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** Of a Unix socket, in place of host and port. */
  readonly path?: string;
}

/** What the connections of one client share. */
export interface ClientShared {
  readonly limits: Http1Limits;
  readonly turn: FlushTurn;
  /** What is read goes here first, on whichever connection: it is taken out before the next read. */
  readonly readBuffer: Buffer;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/** What a connection tells its pool. */
export interface ClientConnectionEvents {
  /** Its exchange is over and it takes another one. */
  released(connection: ClientConnection): void;
  closed(connection: ClientConnection): void;
}

/** A connection is given back earlier than the server said it would close it, for requests are on their way for a while. */
const hintMarginMs = 1_000;
/** Interim responses to one request. */
const maxInterims = 64;

/** A connection to a server, which carries one request after the other. */
export class ClientConnection implements ResponseSink {
  readonly outflow: Outflow;
  readonly #socket: net.Socket;
  readonly #shared: ClientShared;
  readonly #events: ClientConnectionEvents;
  readonly #parser: ResponseParser;
  #exchange: ClientExchange | undefined;
  #head: ResponseHead | undefined;
  /** Requests that ended well before this one. */
  #served = 0;
  #hasReceived = false;
  #interims = 0;
  #isConnected = false;
  #isClosed = false;
  #error: Error | undefined;
  #localAddress = "";
  #idleMs = 0;
  #idleLimitMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(address: ServerAddress, shared: ClientShared, events: ClientConnectionEvents) {
    this.#shared = shared;
    this.#events = events;
    this.#idleLimitMs = shared.idleTimeoutMs;
    this.#parser = new ResponseParser(shared.limits, this);
    const onread = {
      buffer: shared.readBuffer,
      callback: (length: number) => {
        this.#receive(length);
        return true;
      },
    };
    const { host, port, path } = address;
    const socket = net.connect(path === undefined ? { host, port, noDelay: true, onread } : { path, onread });
    this.#socket = socket;
    this.outflow = new Outflow(socket, shared.turn);
    this.#timer = setTimeout(() => {
      this.fail("connect", new Error("the connection took too long"));
    }, shared.connectTimeoutMs);
    socket.on("connect", () => this.#connected());
    socket.on("drain", () => this.#exchange?.drained());
    socket.on("end", () => this.#ended());
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.#gone());
  }

  /** `host:port` of this end; empty as long as it is not connected. */
  get localAddress(): string {
    return this.#localAddress;
  }

  /** Sends a request; the connection is idle. */
  take(exchange: ClientExchange): void {
    this.#exchange = exchange;
    this.#hasReceived = false;
    this.#interims = 0;
    exchange.assign(this);
    if (this.#isConnected) exchange.begin();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Called at intervals while it is idle. */
  sweep(passedMs: number): void {
    this.#idleMs += passedMs;
    if (this.#idleMs >= this.#idleLimitMs) this.destroy();
  }

  /** Closes at once; the exchange, if any, hears nothing of it. */
  destroy(): void {
    if (this.#isClosed) return;
    this.#close();
    this.outflow.clear();
    this.#socket.destroy();
  }

  /** Ends the exchange, and the connection with it. */
  fail(fault: ClientFault, error: Error): void {
    const exchange = this.#exchange;
    this.destroy();
    if (exchange === undefined || exchange.isOver) return;
    exchange.isOver = true;
    exchange.receiver.failed(fault, error);
  }

  bodyPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (isLast) this.#complete(exchange);
    const chunk = Buffer.allocUnsafe(end - start);
    bytes.copy(chunk, 0, start, end);
    exchange.receiver.data(chunk, isLast);
  }

  bodyEnd(trailers: string[]): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#complete(exchange);
    exchange.receiver.end(trailers);
  }

  #connected(): void {
    this.#isConnected = true;
    clearTimeout(this.#timer);
    const { localAddress, localPort } = this.#socket;
    this.#localAddress = localAddress === undefined ? "" : `${localAddress}:${localPort}`;
    const exchange = this.#exchange;
    exchange?.begin();
    exchange?.receiver.connected();
  }

  /** So many octets are in the read buffer. */
  #receive(length: number): void {
    if (this.#isClosed) return;
    // An answer that nobody has asked for belongs to nobody.
    if (this.#exchange === undefined) {
      this.destroy();
      return;
    }
    this.#hasReceived = true;
    try {
      this.#read(this.#shared.readBuffer, length);
    } catch (error) {
      if (!(error instanceof MessageFault)) throw error;
      this.fail("malformed", error);
    }
  }

  #read(bytes: Buffer, end: number): void {
    let at = 0;
    while (at < end && !this.#isClosed && this.#exchange?.isOver === false) at = this.#parser.read(bytes, at, end);
    if (this.#exchange?.isOver && !this.#isClosed) this.#finish(at === end);
  }

  get method(): string {
    return this.#exchange?.method ?? "";
  }

  responseHead(head: ResponseHead): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (head.status < 200) {
      if (head.status === 101) throw malformed("the server switches protocols, which nobody has asked for");
      this.#interims += 1;
      if (this.#interims > maxInterims) throw malformed("there are too many interim responses");
      // A receiver has answered the client's expectation itself.
      if (head.status > 101) exchange.receiver.interim(head.status, head.fields);
      return;
    }
    this.#head = head;
    const isEnd = head.body === 0;
    if (isEnd) this.#complete(exchange);
    exchange.receiver.head(head, isEnd);
  }

  #complete(exchange: ClientExchange): void {
    exchange.isOver = true;
  }

  /** The response is whole: the connection is used again when nothing of the exchange is left on it. */
  #finish(isAtEnd: boolean): void {
    const head = this.#head;
    const isReusable = isAtEnd && head?.isPersistent === true && this.#exchange?.isSent === true;
    this.#exchange = undefined;
    this.#head = undefined;
    if (!isReusable) {
      // What was sent of the request may still be on its way; it is not wanted.
      this.destroy();
      return;
    }
    this.#served += 1;
    this.#idleMs = 0;
    if (head.hasConnectionFields) this.#idleLimitMs = this.#limitBy(head.fields);
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#events.released(this);
  }

  /** How long the connection may idle when the server has said how long it waits itself. */
  #limitBy(fields: readonly string[]): number {
    const { idleTimeoutMs } = this.#shared;
    const at = fields.indexOf("keep-alive");
    const hint = at < 0 ? undefined : /(?:^|[\s,])timeout=(\d{1,6})/i.exec(fields[at + 1] ?? "")?.[1];
    if (hint === undefined) return idleTimeoutMs;
    return Math.min(idleTimeoutMs, Math.max(0, Number(hint) * 1_000 - hintMarginMs));
  }

  /** The server has closed its side. */
  #ended(): void {
    const exchange = this.#exchange;
    if (exchange !== undefined && !exchange.isOver && this.#parser.close()) this.destroy();
    else this.#lost(new Error("the connection was closed before the response was whole"));
  }

  #gone(): void {
    if (!this.#isClosed)
      this.#lost(this.#error ?? new Error("the connection was closed before the response was whole"));
  }

  #lost(error: Error): void {
    const isStale = this.#served > 0 && !this.#hasReceived;
    this.fail(this.#isConnected ? (isStale ? "stale" : "lost") : "connect", error);
  }

  #close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#events.closed(this);
  }
}

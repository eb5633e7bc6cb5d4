import net from "node:net";
import type { ConnectionOptions } from "node:tls";
import { messageOf } from "../../components/thrown.ts";
import { parseHostPort } from "../listen.ts";
import { connectHttp2 } from "./client-connection.ts";
import { DialBackoff } from "./dial-backoff.ts";
import { errorCode } from "./error-code.ts";
import type { HeaderBlock } from "./header-block.ts";
import { PooledRequest, type RequestQueue, unconnectedFault } from "./pooled-request.ts";
import type {
  Http2ClientConnection,
  Http2Connection,
  Http2Limits,
  Http2Stream,
  StreamFault,
  StreamReceiver,
} from "./stream-contract.ts";
import { tlsConnect } from "./tls-connect.ts";

export interface EndpointClientOptions {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** For TLS, asked at each dial; without it connections are cleartext with prior knowledge. */
  readonly tls?: () => ConnectionOptions;
  /** Begins a connection in another way; the socket need not be connected yet. */
  readonly connect?: () => net.Socket;
  /** Of each connection; its `idleMs` closes connections that nobody uses, its `keepAliveMs` finds dead ones. */
  readonly limits?: Partial<Http2Limits>;
  /** A receiver threw; its stream was reset. */
  readonly onReceiverError?: (error: unknown) => void;
  /** Asked before a request fails because there is no connection for it: true when another client has adopted it. */
  readonly onUnconnected?: (request: PooledRequest) => boolean;
  /** From the dial until the peer's SETTINGS; default 5 seconds. */
  readonly connectTimeoutMs?: number;
  /** A further connection is dialled when the others are at the peer's limit of streams. Default 8. */
  readonly maxConnections?: number;
  /** Requests that wait for a connection; one more fails at once. Default 10,000. */
  readonly maxQueuedRequests?: number;
  /** Wait after the first failed dial, and the longest one. Default 200 and 5000. */
  readonly firstBackoffMs?: number;
  readonly longestBackoffMs?: number;
}

/** A connection and whether the peer's SETTINGS have come. */
interface Member {
  readonly socket: net.Socket;
  readonly connection: Http2ClientConnection;
  readonly connectTimer: NodeJS.Timeout;
  isReady: boolean;
}

/**
 * The connections to one address. It dials when there are requests; those that begin before a connection is up are sent
 * when it is, and fail with origin `connect` when it cannot be made. After a failed dial requests fail at once until the
 * back-off has passed. A request that the peer certainly did not process is sent once more.
 */
export class EndpointClient implements RequestQueue, AsyncDisposable {
  readonly address: string;
  readonly unconnected: Http2Connection;
  readonly #options: EndpointClientOptions;
  readonly #connect: () => net.Socket;
  readonly #maxConnections: number;
  readonly #maxQueuedRequests: number;
  readonly #backoff: DialBackoff;
  readonly #members: Member[] = [];
  /** Oldest first. */
  readonly #queue = new Set<PooledRequest>();
  readonly #watchers = new Set<() => void>();
  /** Resolved when the last connection has closed behind a client that makes no more. */
  readonly #emptied = Promise.withResolvers<void>();
  #isClosing = false;

  /** Throws RangeError when the address is none. */
  constructor(options: EndpointClientOptions) {
    this.#options = options;
    this.address = options.address;
    this.unconnected = unconnectedTo(options.address);
    this.#connect = options.connect ?? connectTo(options);
    this.#maxConnections = options.maxConnections ?? 8;
    this.#maxQueuedRequests = options.maxQueuedRequests ?? 10_000;
    this.#backoff = new DialBackoff(options.firstBackoffMs ?? 200, options.longestBackoffMs ?? 5_000);
  }

  /** A connection is up: the peer's SETTINGS have come, it has not been lost, and neither side has sent GOAWAY. */
  get isReady(): boolean {
    return this.#members.some(({ connection, isReady }) => isReady && !connection.isGoingAway);
  }

  /** Requests under way or waiting. */
  get activeRequests(): number {
    return this.#members.reduce((sum, { connection }) => sum + connection.activeStreams, this.#queue.size);
  }

  /**
   * Begins a request. The handle can be used at once: what is written before there is a connection waits, the receiver
   * hears `drained` when it has been sent. Never throws; a failure reaches the receiver later.
   */
  request(headers: HeaderBlock, endStream: boolean, receiver: StreamReceiver): Http2Stream {
    const request = new PooledRequest(this, headers, endStream, receiver);
    this.#begin(request);
    return request;
  }

  /** Takes over a request for which another client has no connection, with all that was written so far. */
  adopt(request: PooledRequest): void {
    request.moveTo(this);
    this.#begin(request);
  }

  /** Resolves once no connection is up, at once if none is, or when the signal aborts. */
  untilDisconnected(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || !this.isReady) {
        resolve();
        return;
      }
      const done = (): void => {
        this.#watchers.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#watchers.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Takes no more requests, and lets those under way and those that wait end; the connections close behind them. */
  drain(): void {
    this.#isClosing = true;
    if (this.#queue.size === 0) for (const { connection } of [...this.#members]) connection.drain();
  }

  /** Ends every request with a fault and closes the connections; resolves when their sockets are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    const message = `the client of ${this.address} is closed`;
    this.#failQueue(message);
    for (const member of [...this.#members]) {
      if (member.isReady) member.connection.close(errorCode.NO_ERROR, message);
      else member.socket.destroy();
    }
    if (this.#members.length > 0) await this.#emptied.promise;
  }

  retry(request: PooledRequest, fault: StreamFault): void {
    // The connection may be in the midst of telling all its streams.
    queueMicrotask(() => {
      if (!request.isOpen) return;
      if (this.#isClosing) this.#fail(request, fault);
      else this.#enqueue(request);
      this.#flush();
    });
  }

  forget(request: PooledRequest): void {
    this.#queue.delete(request);
  }

  #begin(request: PooledRequest): void {
    const connection = this.#queue.size === 0 ? this.#available() : undefined;
    if (connection === undefined || this.#isClosing) this.#enqueue(request);
    else request.attach(connection);
  }

  #available(): Http2ClientConnection | undefined {
    for (const { connection, isReady } of this.#members) if (isReady && connection.canRequest) return connection;
    return undefined;
  }

  #enqueue(request: PooledRequest): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      queueMicrotask(() => this.#fail(request, refusal));
      return;
    }
    this.#queue.add(request);
    this.#dialForQueue();
  }

  #refusal(): StreamFault | undefined {
    if (this.#isClosing) return unconnectedFault(`the client of ${this.address} is closed`);
    if (!this.#hasHope && !this.#backoff.mayDial) return unconnectedFault(this.#backoff.reason);
    if (this.#queue.size < this.#maxQueuedRequests) return undefined;
    return unconnectedFault(`${this.#queue.size} requests wait for a connection to ${this.address} already`);
  }

  /** There is a connection that takes or will take requests. */
  get #hasHope(): boolean {
    return this.#members.some(({ connection }) => !connection.isGoingAway);
  }

  /** One dial at a time: how many streams a connection takes is known when it is up. */
  #dialForQueue(): void {
    if (!this.#backoff.mayDial) {
      if (!this.#hasHope) this.#failQueue(this.#backoff.reason);
      return;
    }
    let live = 0;
    for (const { connection, isReady } of this.#members) {
      if (!isReady) return;
      if (!connection.isGoingAway) live += 1;
    }
    if (live < this.#maxConnections) this.#dial();
  }

  #dial(): void {
    let socket: net.Socket;
    try {
      socket = this.#connect();
    } catch (error) {
      this.#dialFailed(reasonOf(error));
      return;
    }
    const { limits, onReceiverError, connectTimeoutMs = 5_000 } = this.#options;
    const late = `it did not answer within ${connectTimeoutMs} ms`;
    const member: Member = {
      socket,
      connection: connectHttp2(socket, {
        onAvailable: () => this.#came(member),
        onGoingAway: () => this.#tellWatchers(),
        onClose: (_connection, fault) => this.#went(member, fault),
        ...(limits === undefined ? {} : { limits }),
        ...(onReceiverError === undefined ? {} : { onReceiverError }),
      }),
      connectTimer: setTimeout(() => socket.destroy(new Error(late)), connectTimeoutMs),
      isReady: false,
    };
    this.#members.push(member);
  }

  #came(member: Member): void {
    if (!member.isReady) {
      member.isReady = true;
      clearTimeout(member.connectTimer);
      this.#backoff.succeeded();
    }
    this.#flush();
  }

  #went(member: Member, fault: Error | undefined): void {
    clearTimeout(member.connectTimer);
    this.#members.splice(this.#members.indexOf(member), 1);
    if (!member.isReady) this.#dialFailed(fault === undefined ? "it closed the connection" : reasonOf(fault));
    else if (this.#queue.size > 0) this.#dialForQueue();
    this.#tellWatchers();
    if (this.#members.length === 0) this.#emptied.resolve();
  }

  #tellWatchers(): void {
    if (!this.isReady) for (const tell of [...this.#watchers]) tell();
  }

  #dialFailed(why: string): void {
    this.#backoff.failed(`cannot connect to ${this.address}: ${why}`);
    if (!this.#hasHope) this.#failQueue(this.#backoff.reason);
  }

  #flush(): void {
    for (const request of this.#queue) {
      const connection = this.#available();
      if (connection === undefined) break;
      this.#queue.delete(request);
      try {
        request.attach(connection);
      } catch (error) {
        request.reset(errorCode.INTERNAL_ERROR);
        this.#options.onReceiverError?.(error);
      }
    }
    if (this.#queue.size > 0) this.#dialForQueue();
    else if (this.#isClosing) this.drain();
  }

  #failQueue(message: string): void {
    const waiting = [...this.#queue];
    this.#queue.clear();
    const fault = unconnectedFault(message);
    for (const request of waiting) queueMicrotask(() => this.#fail(request, fault));
  }

  #fail(request: PooledRequest, fault: StreamFault): void {
    try {
      const mayMove = fault.origin === "connect" && request.isUnsent && !this.#isClosing;
      if (!mayMove || this.#options.onUnconnected?.(request) !== true) request.fail(fault);
    } catch (error) {
      this.#options.onReceiverError?.(error);
    }
  }
}

/** Why a connection could not be made; one that was tried at several addresses has only their reasons. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(reasonOf).join("; ");
  return messageOf(error);
}

function connectTo({ address, tls }: EndpointClientOptions): () => net.Socket {
  return tls === undefined ? plainConnect(address) : tlsConnect(address, tls);
}

function plainConnect(address: string): () => net.Socket {
  const target: net.NetConnectOpts = address.startsWith("unix:")
    ? { path: address.slice("unix:".length) }
    : { ...parseHostPort(address), noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
  return () => net.connect(target);
}

const unconnectedTo = (address: string): Http2Connection => ({
  remoteAddress: address.startsWith("unix:") ? "unix:" : address,
  localAddress: "",
  activeStreams: 0,
  isClosed: false,
  suspect: () => undefined,
  drain: () => undefined,
  close: () => undefined,
});

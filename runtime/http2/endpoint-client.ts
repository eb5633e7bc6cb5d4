import net from "node:net";
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

export interface EndpointClientOptions {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** Begins a connection; the socket need not be connected yet. Default: plain TCP or the Unix socket of the address. */
  readonly connect?: () => net.Socket;
  /** Of each connection; its `idleMs` closes connections that nobody uses, its `keepAliveMs` finds dead ones. */
  readonly limits?: Partial<Http2Limits>;
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
  readonly connection: Http2ClientConnection;
  readonly timer: NodeJS.Timeout;
  isReady: boolean;
  timedOut: boolean;
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
  #isClosing = false;

  /** Throws RangeError when the address is none. */
  constructor(options: EndpointClientOptions) {
    this.#options = options;
    this.address = options.address;
    this.unconnected = unconnectedTo(options.address);
    this.#connect = options.connect ?? plainConnect(options.address);
    this.#maxConnections = options.maxConnections ?? 8;
    this.#maxQueuedRequests = options.maxQueuedRequests ?? 10_000;
    this.#backoff = new DialBackoff(options.firstBackoffMs ?? 200, options.longestBackoffMs ?? 5_000);
  }

  /** A connection is up: the peer's SETTINGS have come and it has not been lost. */
  get isReady(): boolean {
    return this.#members.some(({ isReady }) => isReady);
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
    const connection = this.#queue.size === 0 ? this.#available() : undefined;
    if (connection === undefined || this.#isClosing) this.#enqueue(request);
    else request.attach(connection);
    return request;
  }

  /** Dials when there is no connection and no back-off to wait for. */
  dial(): void {
    if (this.#members.length === 0 && !this.#isClosing && this.#backoff.mayDial) this.#dial();
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

  /** Ends every request with a fault and closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    this.#failQueue(`the client of ${this.address} is closed`);
    for (const { connection } of [...this.#members]) connection.close(errorCode.NO_ERROR, "the client is closed");
  }

  retry(request: PooledRequest, fault: StreamFault): void {
    // The connection may be in the midst of telling all its streams.
    queueMicrotask(() => {
      if (!request.isOpen) return;
      if (this.#isClosing) request.fail(fault);
      else this.#enqueue(request);
      this.#flush();
    });
  }

  forget(request: PooledRequest): void {
    this.#queue.delete(request);
  }

  #available(): Http2ClientConnection | undefined {
    for (const { connection, isReady } of this.#members) if (isReady && connection.canRequest) return connection;
    return undefined;
  }

  #enqueue(request: PooledRequest): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      queueMicrotask(() => request.fail(refusal));
      return;
    }
    this.#queue.add(request);
    this.#dialForQueue();
  }

  #refusal(): StreamFault | undefined {
    if (this.#isClosing) return unconnectedFault(`the client of ${this.address} is closed`);
    if (this.#members.length === 0 && !this.#backoff.mayDial) return unconnectedFault(this.#backoff.reason);
    if (this.#queue.size < this.#maxQueuedRequests) return undefined;
    return unconnectedFault(`${this.#queue.size} requests wait for a connection to ${this.address} already`);
  }

  /** One dial at a time: how many streams a connection takes is known when it is up. */
  #dialForQueue(): void {
    if (this.#members.length >= this.#maxConnections || !this.#backoff.mayDial) return;
    if (this.#members.every(({ isReady }) => isReady)) this.#dial();
  }

  #dial(): void {
    let socket: net.Socket;
    try {
      socket = this.#connect();
    } catch (error) {
      this.#dialFailed(error instanceof Error ? error.message : String(error));
      return;
    }
    const member: Member = {
      connection: connectHttp2(socket, {
        onAvailable: () => this.#came(member),
        onClose: (_connection, fault) => this.#went(member, fault),
        ...(this.#options.limits === undefined ? {} : { limits: this.#options.limits }),
      }),
      timer: setTimeout(() => this.#timeOut(member), this.#options.connectTimeoutMs ?? 5_000),
      isReady: false,
      timedOut: false,
    };
    this.#members.push(member);
  }

  #timeOut(member: Member): void {
    member.timedOut = true;
    member.connection.close(errorCode.SETTINGS_TIMEOUT, "no SETTINGS came in time");
  }

  #came(member: Member): void {
    if (!member.isReady) {
      member.isReady = true;
      clearTimeout(member.timer);
      this.#backoff.succeeded();
    }
    this.#flush();
  }

  #went(member: Member, fault: Error | undefined): void {
    clearTimeout(member.timer);
    const at = this.#members.indexOf(member);
    if (at >= 0) this.#members.splice(at, 1);
    if (!member.isReady) {
      this.#dialFailed(member.timedOut ? "it did not answer in time" : (fault?.message ?? "it closed the connection"));
      return;
    }
    if (!this.isReady) for (const tell of [...this.#watchers]) tell();
    if (this.#queue.size > 0) this.#dialForQueue();
  }

  #dialFailed(why: string): void {
    this.#backoff.failed(`cannot connect to ${this.address}: ${why}`);
    if (this.#members.length === 0) this.#failQueue(this.#backoff.reason);
  }

  #flush(): void {
    for (const request of this.#queue) {
      const connection = this.#available();
      if (connection === undefined) break;
      this.#queue.delete(request);
      request.attach(connection);
    }
    if (this.#queue.size > 0) this.#dialForQueue();
    else if (this.#isClosing) this.drain();
  }

  #failQueue(message: string): void {
    const waiting = [...this.#queue];
    this.#queue.clear();
    for (const request of waiting) queueMicrotask(() => request.fail(unconnectedFault(message)));
  }
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
  drain: () => undefined,
  close: () => undefined,
});

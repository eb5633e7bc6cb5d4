import type { ConnectionOptions } from "node:tls";
import { EndpointClient } from "../http2/endpoint-client.ts";
import type { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Limits, Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import type { AnswerSection } from "./answer-section.ts";
import { CallHeads } from "./call-head.ts";
import { type CallStatus, localStatus } from "./call-status.ts";
import { type CallReceiver, ClientCall } from "./client-call.ts";
import { Deadlines } from "./deadlines.ts";
import type { Pairs } from "./metadata-fields.ts";
import { asRuntimeError, statusCodeOf } from "./status.ts";
import { statusCode } from "./status-code.ts";

export interface GrpcChannelOptions {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** Largest message either way. */
  readonly maxMessageBytes: number;
  /** For TLS, asked at each dial; without it connections are cleartext with prior knowledge. */
  readonly tls?: () => ConnectionOptions;
  /** Wait after the first failed dial, and the longest one. Default 200 and 5000. */
  readonly firstBackoffMs?: number;
  readonly longestBackoffMs?: number;
  /** Of each connection. */
  readonly limits?: Partial<Http2Limits>;
}

export interface CallOptions {
  /** Without those that gRPC writes itself; values of `-bin` names are base64. */
  readonly metadata?: Pairs;
  /** Travels to the server; DEADLINE_EXCEEDED when it has passed. Default: without end. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Takes the call to the server; default the channel's own connections. */
  readonly through?: CallRequester | undefined;
}

/** What a call can be sent through. */
export interface CallRequester {
  request(head: HeaderBlock, endStream: boolean, receiver: StreamReceiver): Http2Stream | undefined;
}

/** What came of a unary call; `message` is there when the status is OK. */
export interface UnaryAnswer {
  readonly status: CallStatus;
  readonly head: AnswerSection | undefined;
  readonly message: Buffer | undefined;
}

/** Finds connections that died without a word. Servers in Go refuse pings that come more often than every 5 minutes. */
const keepAlive = { keepAliveMs: 310_000, keepAliveTimeoutMs: 20_000 };

/** Calls of encoded messages to the gRPC server at one address; connections are made when they are needed. */
export class GrpcChannel implements AsyncDisposable {
  readonly address: string;
  readonly #maxMessageBytes: number;
  readonly #client: EndpointClient;
  readonly #heads: CallHeads;
  readonly #deadlines = new Deadlines();

  /** Throws RangeError when the address is none. */
  constructor({ maxMessageBytes, limits, ...options }: GrpcChannelOptions) {
    const { address, tls } = options;
    this.address = address;
    this.#maxMessageBytes = maxMessageBytes;
    this.#client = new EndpointClient({ ...options, limits: { ...keepAlive, ...limits } });
    this.#heads = new CallHeads(
      tls === undefined ? "http" : "https",
      address.startsWith("unix:") ? "localhost" : address,
    );
  }

  /** Calls under way or waiting for a connection. */
  get activeCalls(): number {
    return this.#client.activeRequests;
  }

  /** Nothing is lost when it is closed: no call is on its connections, and none that goes through something else has a deadline. */
  get isIdle(): boolean {
    return this.activeCalls === 0 && this.#deadlines.size === 0;
  }

  /** Begins a call of any shape to `/package.Service/Method`. Never throws: the receiver hears of failures. */
  call(path: string, options: CallOptions, receiver: CallReceiver): ClientCall {
    const { timeoutMs, signal, metadata = [] } = options;
    const call = new ClientCall(
      {
        address: this.address,
        path,
        maxMessageBytes: this.#maxMessageBytes,
        deadlines: this.#deadlines,
        timeoutMs,
        signal,
      },
      receiver,
    );
    const refused = signal?.aborted
      ? cancelled(path)
      : timeoutMs !== undefined && timeoutMs <= 0
        ? late(path)
        : undefined;
    if (refused !== undefined) {
      call.breakOff(refused);
      return call;
    }
    try {
      const head = this.#heads.of(path, timeoutMs, metadata);
      const stream = (options.through ?? this.#client).request(head, false, call);
      if (stream === undefined) call.breakOff(localStatus(statusCode.UNAVAILABLE, `${this.address} takes no calls`));
      else call.begin(stream);
    } catch (error) {
      const { code, message } = asRuntimeError(error);
      call.breakOff(localStatus(statusCodeOf(code), message));
    }
    return call;
  }

  /** Sends one message and awaits one. Never rejects: the status tells. */
  unary(path: string, message: Uint8Array, options: CallOptions): Promise<UnaryAnswer> {
    return new Promise((resolve) => {
      const receiver = new UnaryReceiver(path, resolve);
      const call = this.call(path, options, receiver);
      receiver.call = call;
      call.send(message, true);
    });
  }

  /** Resolves once no connection is up, at once if none is, or when the signal aborts. */
  untilDisconnected(signal: AbortSignal): Promise<void> {
    return this.#client.untilDisconnected(signal);
  }

  /** Ends every call with UNAVAILABLE and closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    this.#deadlines[Symbol.dispose]();
  }
}

const cancelled = (path: string): CallStatus =>
  localStatus(statusCode.CANCELLED, `the call of ${path} was cancelled before it was sent`);
const late = (path: string): CallStatus =>
  localStatus(statusCode.DEADLINE_EXCEEDED, `the deadline of the call of ${path} had passed before it was sent`);

/** Collects the answer of a unary call: one message and a status. */
class UnaryReceiver implements CallReceiver {
  call: ClientCall | undefined;
  readonly #path: string;
  readonly #resolve: (answer: UnaryAnswer) => void;
  #head: AnswerSection | undefined;
  #message: Buffer | undefined;

  constructor(path: string, resolve: (answer: UnaryAnswer) => void) {
    this.#path = path;
    this.#resolve = resolve;
  }

  head(section: AnswerSection): void {
    this.#head = section;
  }

  message(bytes: Buffer): void {
    if (this.#message === undefined) this.#message = bytes;
    else this.call?.breakOff(localStatus(statusCode.INTERNAL, `more than one message answers ${this.#path}`));
  }

  drained(): void {
    // The one message has been given to the connection already.
  }

  ended(status: CallStatus): void {
    const isEmpty = status.code === statusCode.OK && this.#message === undefined;
    this.#resolve({
      status: isEmpty ? localStatus(statusCode.INTERNAL, `no message answers ${this.#path}`) : status,
      head: this.#head,
      message: status.code === statusCode.OK ? this.#message : undefined,
    });
  }
}

import type { HeaderBlock } from "./header-block.ts";

/** Why a stream ended before both sides were complete. */
export interface StreamFault {
  /** The code of RST_STREAM or GOAWAY; CONNECT_ERROR when there was no connection, CANCEL when one was lost. */
  readonly code: number;
  /**
   * `peer`: RST_STREAM came; `protocol`: this side reset the stream because the peer broke a rule on it; `connection`: the
   * connection was lost or closed; `connect`: it could not be made.
   */
  readonly origin: "peer" | "protocol" | "connection" | "connect";
  /** The peer certainly did nothing with the request (RFC 9113, section 8.7): it is safe to send it elsewhere. */
  readonly unprocessed: boolean;
  readonly message: string;
}

/** What a stream's owner is told, synchronously and in order. A throw resets the stream with INTERNAL_ERROR. */
export interface StreamReceiver {
  /** Client side: the head of the response; also called for every interim (1xx) head, which never ends the stream. */
  headers(block: HeaderBlock, endStream: boolean): void;
  /**
   * The octets `bytes[start..end)`, perhaps none. Nobody writes to `bytes` again, so a subarray may be kept. The peer gets
   * them back as flow-control credit at once, unless the stream is paused.
   */
  data(bytes: Buffer, start: number, end: number, endStream: boolean): void;
  /** Trailers end the stream. */
  trailers(block: HeaderBlock): void;
  /** The last call: no more comes, and nothing can be sent. Not called after `reset()` by the owner itself. */
  fault(fault: StreamFault): void;
  /** After a `sendData` that returned false: everything has been framed, more is wanted. */
  drained(): void;
}

/**
 * One request and its response (RFC 9113, section 5). Sends after the end of this side, a fault or a reset are ignored.
 * Frames of one event-loop turn leave in one write.
 */
export interface Http2Stream {
  readonly id: number;
  readonly connection: Http2Connection;
  /** False once both sides have ended, or either has reset it. */
  readonly isOpen: boolean;
  /** This side has sent END_STREAM (or queued it). */
  readonly isSent: boolean;
  /** The peer has sent END_STREAM. */
  readonly isReceived: boolean;
  /** The request's head on a client, the response's head (interim ones too) on a server, or trailers (with `endStream`). */
  sendHeaders(block: HeaderBlock, endStream: boolean): void;
  /**
   * The octets `bytes[start..end)`, which nobody may write to afterwards. False when the peer's window is closed and the
   * octets wait here: hold the source back until `drained`.
   */
  sendData(bytes: Uint8Array, start: number, end: number, endStream: boolean): boolean;
  /** One Length-Prefixed-Message of gRPC: the flag octet, the length in 4 octets, the message. Returns as `sendData`. */
  sendMessage(flag: number, message: Uint8Array, endStream: boolean): boolean;
  /** RST_STREAM; the receiver hears nothing more. */
  reset(code: number): void;
  /** The receiver is slow: credit is withheld, so that at most one window more arrives. Idempotent. */
  pause(): void;
  /** Gives back the credit that was withheld. Idempotent. */
  resume(): void;
}

/** Either end of a connection. */
export interface Http2Connection {
  /** `host:port` of the peer, `unix:` for a Unix socket; "" while it is not known. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Streams that are open. */
  readonly activeStreams: number;
  readonly isClosed: boolean;
  /**
   * Something was awaited in vain since that time, of performance.now: a peer that was not heard of since is asked by PING, at
   * most once in `keepAliveMs`, so that a dead one is found sooner.
   */
  suspect(sinceMs: number): void;
  /**
   * Lets open streams end and closes then. A server sends GOAWAY twice (RFC 9113, section 6.8), so that requests on their
   * way are still served; a client begins no more streams.
   */
  drain(): void;
  /** GOAWAY with the code, then the end of the connection; open streams get a fault. */
  close(code: number, message: string): void;
}

/** What an HTTP/2 server does with requests. */
export interface Http2ServerOptions {
  /** Called for each request with its head; the result hears the rest. `headers` of that receiver is never called. */
  readonly onStream: (stream: Http2Stream, headers: HeaderBlock, endStream: boolean) => StreamReceiver;
  /** Called once, when the socket is closed; `fault` is undefined after an orderly end. */
  readonly onClose?: (connection: Http2Connection, fault: Error | undefined) => void;
  /** A receiver or `onStream` threw; its stream was reset with INTERNAL_ERROR. */
  readonly onReceiverError?: (error: unknown) => void;
  readonly limits?: Partial<Http2Limits>;
  /** Bytes of the preface or more that were read from the socket already. */
  readonly received?: Buffer;
}

export interface Http2ClientOptions {
  readonly onClose?: (connection: Http2ClientConnection, fault: Error | undefined) => void;
  /** The peer's settings came, or its limit of streams allows more: `canRequest` may have become true. */
  readonly onAvailable?: (connection: Http2ClientConnection) => void;
  /** Called once when no more streams can be begun on it although it is open: GOAWAY came or was sent. */
  readonly onGoingAway?: (connection: Http2ClientConnection) => void;
  readonly onReceiverError?: (error: unknown) => void;
  readonly limits?: Partial<Http2Limits>;
}

export interface Http2ClientConnection extends Http2Connection {
  /** False while the peer's limit of streams is reached, after GOAWAY, and when stream identifiers are used up. */
  readonly canRequest: boolean;
  /** No more streams are ever begun on it: GOAWAY was sent or came, its identifiers are used up, or it ends. */
  readonly isGoingAway: boolean;
  /** Begins a stream; it may be called before the socket is connected. Throws RangeError when `canRequest` is false. */
  request(headers: HeaderBlock, endStream: boolean, receiver: StreamReceiver): Http2Stream;
}

/** What one connection may cost. Every limit holds for each connection. */
export interface Http2Limits {
  /** SETTINGS_MAX_CONCURRENT_STREAMS of a server. */
  readonly maxConcurrentStreams: number;
  /** Largest header section, counted as RFC 9113, section 6.5.2 does; a larger one is answered 431 or resets the stream. */
  readonly maxHeaderListBytes: number;
  readonly maxHeaderFields: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE: what one paused stream may hold back. */
  readonly streamWindowBytes: number;
  /** What all paused streams of the connection together may hold back. */
  readonly connectionWindowBytes: number;
  /** SETTINGS_MAX_FRAME_SIZE, at least 16384. */
  readonly maxFrameBytes: number;
  /** What may wait to be sent because the peer's window is closed or its socket is slow; beyond it the connection ends. */
  readonly maxQueuedBytes: number;
  /** A connection on which nothing came for so long is asked by PING, by a client only while streams are open; 0 is never. */
  readonly keepAliveMs: number;
  /** It is closed when no answer to PING comes in so long. */
  readonly keepAliveTimeoutMs: number;
  /** A connection without streams is drained after so long; 0 is never. */
  readonly idleMs: number;
  /** A stream that this side has ended is reset when the peer lets nothing of it go for so long; 0 is never. */
  readonly stalledMs: number;
  /** The preface and the first SETTINGS must come in so long, and SETTINGS be acknowledged. */
  readonly settingsTimeoutMs: number;
  /** Frames that cost and carry nothing (resets, pings, settings, empty data, priority) tolerated in a second. */
  readonly maxIdleFramesPerSecond: number;
}

import type { HeaderList } from "./headers.ts";

/**
 * An exchange is a request and its response, pushed both ways. Whoever produces it (a listener) calls a Handler with the
 * head of the request and a ResponseSink, and gets a RequestSink for the rest; whoever consumes it (filters, an
 * upstream) pushes the response into the ResponseSink. Each sink also takes what concerns the opposite direction:
 * `pause` and `resume` hold back the message that its caller receives. There is no promise or iterator per chunk.
 */
export type Handler = (request: HeaderList, endOfStream: boolean, response: ResponseSink) => RequestSink;

/** Takes the rest of a request. Calls after the end or after `reset` have no effect. */
export interface RequestSink {
  /** The chunk may be kept: nobody writes to it again. */
  data(chunk: Uint8Array, endOfStream: boolean): void;
  /** Trailers end the request. */
  trailers(trailers: HeaderList): void;
  /** The client is gone or gave up: nothing of the response is wanted any more. */
  reset(): void;
  /** The client is slow: hold the response back. Pairs with `resume`; calling it twice counts once. */
  pause(): void;
  resume(): void;
  /** What a terminal tells about itself, live; absent on what is not an upstream. */
  readonly facts?: UpstreamFacts;
}

/** Takes a response. Calls after the end or after `reset` have no effect. */
export interface ResponseSink {
  /** An interim head (`:status` 102 to 199), before the final one; absent on what has no use for it. */
  interim?(headers: HeaderList): void;
  head(headers: HeaderList, endOfStream: boolean): void;
  data(chunk: Uint8Array, endOfStream: boolean): void;
  trailers(trailers: HeaderList): void;
  /** No whole response will come; before the head, `failure` says what to answer in its place. */
  reset(failure: Failure): void;
  /** Hold the request back. Pairs with `resume`; calling it twice counts once. */
  pause(): void;
  resume(): void;
}

/** Why an exchange did not go as it should. */
export interface Failure {
  /** What the client is told, when it can still be told. */
  readonly status: number;
  /** In a word or two, for the access log and `response.code_details`. */
  readonly details: string;
  /** One line for the client. */
  readonly message: string;
  /** Envoy's short flag for it, such as `UF`; see `responseFlags`. */
  readonly flag?: ResponseFlag;
}

/** Envoy's response flags that this proxy knows, with their bits in `response.flags`. */
export const responseFlags = {
  UH: 0x2n,
  UT: 0x4n,
  LR: 0x8n,
  UR: 0x10n,
  UF: 0x20n,
  UC: 0x40n,
  NR: 0x100n,
  DC: 0x4000n,
  SI: 0x10000n,
  DPE: 0x40000n,
} as const;
export type ResponseFlag = keyof typeof responseFlags;

/** The connection that an exchange came over, as its listener knows it. Addresses of Unix sockets are empty. */
export interface ConnectionFacts {
  readonly id: number;
  readonly protocol: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";
  readonly scheme: "http" | "https";
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** `address:port` of the client; empty on a Unix socket. */
  readonly peer: string;
  readonly localAddress: string;
  readonly localPort: number;
  /** The exchange leaves the sidecar: these are no facts of a connection, which an upstream has yet to choose. */
  readonly isOutbound?: true;
}

/** In place of a connection where the sidecar itself asks: it has no address. */
export const inside: ConnectionFacts = {
  id: 0,
  protocol: "HTTP/1.1",
  scheme: "http",
  remoteAddress: "",
  remotePort: 0,
  peer: "",
  localAddress: "",
  localPort: 0,
};

/** In place of a connection where a request leaves for an upstream, by what that speaks. */
export const outbound: Readonly<Record<"http1" | "http2", ConnectionFacts>> = {
  http1: { ...inside, isOutbound: true },
  http2: { ...inside, protocol: "HTTP/2", isOutbound: true },
};

/** What a listener calls for each exchange: a Handler that also learns of the connection. */
export type Serve = (
  connection: ConnectionFacts,
  request: HeaderList,
  endOfStream: boolean,
  response: ResponseSink,
) => RequestSink;

/** What a terminal tells about itself while it works. */
export interface UpstreamFacts {
  /** Name of the upstream. */
  readonly upstream: string;
  /** `host:port` of the endpoint that took the request, as far as one did. */
  readonly endpoint: string | undefined;
  readonly localAddress: string | undefined;
}

export const noBytes = new Uint8Array(0);

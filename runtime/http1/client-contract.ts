import type { Http1Limits } from "./limits.ts";
import type { ResponseHead } from "./response-head.ts";

/**
 * Why no whole response came: `connect` no connection came about; `stale` a connection kept from before turned out to be
 * closed, before an octet of the response; `lost` the connection broke; `malformed` what came is not HTTP/1.1.
 */
export type ClientFault = "connect" | "stale" | "lost" | "malformed";

/** What the owner of an outbound request is told, in order. */
export interface ResponseReceiver {
  /** There is a connection; not called when there was one from the start. */
  connected(): void;
  /** An interim response, 102 to 199. */
  interim(status: number, fields: string[]): void;
  head(head: ResponseHead, isEnd: boolean): void;
  /** A piece of the body, which nobody writes to again. */
  data(chunk: Uint8Array, isLast: boolean): void;
  /** The end of the body, when no piece said so: names and values of trailers, which may be none. */
  end(trailers: string[]): void;
  /** After a `write` that returned false: more is wanted. */
  drained(): void;
  /** The last call: no whole response comes. */
  failed(fault: ClientFault, error: Error): void;
}

export interface Http1ClientOptions {
  readonly connectTimeoutMs: number;
  /** Idle connections are closed after this, or earlier when the server said so. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionsPerEndpoint: number;
  readonly maxIdlePerEndpoint?: number;
  readonly limits?: Partial<Http1Limits>;
}

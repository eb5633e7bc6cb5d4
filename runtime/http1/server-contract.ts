import type { Http1Limits } from "./limits.ts";
import type { MessageFault } from "./message-fault.ts";
import type { RequestHead, RequestLine } from "./request-head.ts";

/** What the owner of a request is told, in order. */
export interface RequestReceiver {
  /** A piece of the body, which nobody writes to again. */
  data(chunk: Buffer, isLast: boolean): void;
  /** The end of the body, when no piece said so: names and values of trailers, which may be none. */
  end(trailers: string[]): void;
  /** The last call: the client is gone, or its request broke off; nothing can be answered any more. */
  gone(): void;
  /** After a `data` that returned false: more is wanted. */
  drained(): void;
}

/** The answer to one request. Calls after its end, or after the client is gone, have no effect. */
export interface Response {
  /** Whether the final head was sent. */
  readonly hasBegun: boolean;
  /** An interim response, 102 to 199; HTTP/1.0 clients are spared it. */
  interim(status: number, fields: readonly string[]): void;
  /** The head: names in lower case and values, alternating; those that concern the connection only are left out. */
  head(status: number, fields: readonly string[], isEnd: boolean): void;
  /** A piece of the body, which nobody may write to afterwards. False when the client is slow: wait for `drained`. */
  data(chunk: Uint8Array, isEnd: boolean): boolean;
  /** The end, with trailers where the framing has room for them. */
  trailers(fields: readonly string[]): void;
  /** No whole answer will come: the client must see that what it has is not whole. */
  abort(): void;
  /** Holds the rest of the request's body back. */
  pause(): void;
  resume(): void;
}

export interface Http1ServerOptions<Connection> {
  /** Called for each request; the result is told the rest. A MessageFault that it throws is what is answered. */
  readonly onRequest: (response: Response, head: RequestHead, connection: Connection) => RequestReceiver;
  /** Called for each message that was refused; it was answered already. `line` is given when it could be read. */
  readonly onRefused: (fault: MessageFault, connection: Connection, line: RequestLine | undefined) => void;
  readonly limits?: Partial<Http1Limits>;
  /** A client has this long for a head, from its first octet. */
  readonly headTimeoutMs: number;
  /** Connections without a request are closed after this. */
  readonly idleTimeoutMs: number;
  /** How long a connection stays readable after it was closed for writing; default 1 s. */
  readonly lingerMs?: number;
}

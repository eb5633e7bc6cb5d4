import type net from "node:net";
import { errorCode } from "../http2/error-code.ts";
import type { HeaderBlock } from "../http2/header-block.ts";
import { serveHttp2 } from "../http2/server-connection.ts";
import type { Http2Connection, Http2Limits, Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import { SectionMemo } from "../proxy/section-memo.ts";
import { factsOf, type Http2ClientFacts } from "./connection-facts.ts";

export interface Http2ServerOptions {
  readonly onRequest: (
    connection: Http2ClientFacts,
    stream: Http2Stream,
    headers: HeaderBlock,
    endStream: boolean,
  ) => StreamReceiver;
  readonly limits: Partial<Http2Limits>;
  readonly onError: (error: unknown) => void;
}

/** Speaks HTTP/2 on the sockets it is given. */
export class Http2Server {
  readonly #options: Http2ServerOptions;
  readonly #connections = new Set<Http2Connection>();
  /** Streams that have their answer and are not over yet, and how often they were swept. */
  readonly #lingering = new Map<Http2Stream, number>();
  #pruneAt = 1_000;
  #empty: PromiseWithResolvers<void> | undefined;

  constructor(options: Http2ServerOptions) {
    this.#options = options;
  }

  /** Takes over the connection of that number; `received` was read from it already. */
  accept(socket: net.Socket, id: number, received: Buffer): void {
    const facts = { ...factsOf(socket, id, "HTTP/2"), sections: new SectionMemo() };
    const { onRequest, limits, onError } = this.#options;
    const connection = serveHttp2(socket, {
      onStream: (stream, headers, endStream) => onRequest(facts, stream, headers, endStream),
      onClose: (closed) => {
        this.#connections.delete(closed);
        if (this.#connections.size === 0) this.#empty?.resolve();
      },
      onReceiverError: onError,
      limits,
      received,
    });
    this.#connections.add(connection);
    if (this.#empty !== undefined) connection.drain();
  }

  /** A stream whose answer is complete; it is reset when it is still open some sweeps later. */
  linger(stream: Http2Stream): void {
    if (!stream.isOpen) return;
    this.#lingering.set(stream, 0);
    if (this.#lingering.size < this.#pruneAt) return;
    for (const each of this.#lingering.keys()) if (!each.isOpen) this.#lingering.delete(each);
    this.#pruneAt = 1_000 + 2 * this.#lingering.size;
  }

  /** Called at intervals. */
  sweep(sweepsPerIdle: number): void {
    for (const [stream, sweeps] of this.#lingering) {
      if (stream.isOpen && sweeps < sweepsPerIdle) this.#lingering.set(stream, sweeps + 1);
      else {
        this.#lingering.delete(stream);
        stream.reset(errorCode.CANCEL);
      }
    }
  }

  /** Connections take no more requests and close behind those under way; resolves when there are none left. */
  drain(): Promise<void> {
    this.#empty ??= Promise.withResolvers();
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size === 0) this.#empty.resolve();
    return this.#empty.promise;
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    this.#empty ??= Promise.withResolvers();
    for (const connection of [...this.#connections]) connection.close(errorCode.NO_ERROR, "the proxy is shutting down");
    if (this.#connections.size === 0) this.#empty.resolve();
    await this.#empty.promise;
  }
}

import type { Socket } from "node:net";
import { errorCode } from "../http2/error-code.ts";
import { serveHttp2 } from "../http2/server-connection.ts";
import type { Http2Connection, Http2ServerOptions } from "../http2/stream-contract.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** Most connections of one server; more are closed as they come. */
const maxConnections = 16_384;

/** The open connections of a server, no more than it may have. */
export class ServerConnections {
  readonly #open = new Map<Http2Connection, Socket>();
  readonly #options: Http2ServerOptions;
  readonly #gauge;
  readonly #log: Log;
  #isFull = false;
  #closed: PromiseWithResolvers<void> | undefined;

  constructor(options: Pick<Http2ServerOptions, "onStream" | "limits">, metrics: Metrics, log: Log) {
    this.#gauge = metrics.gauge("outrigger_grpc_connections", "Open connections to the gRPC API.");
    this.#log = log;
    this.#options = {
      ...options,
      onClose: (connection) => this.#leave(connection),
      onReceiverError: (error) => log.error({ err: error }, "a gRPC stream failed"),
    };
  }

  /** Serves the connection, or closes it when there are too many. */
  admit(socket: Socket): void {
    if (this.#open.size >= maxConnections) {
      if (!this.#isFull) this.#log.warn({ connections: maxConnections }, "the gRPC API refuses further connections");
      this.#isFull = true;
      socket.destroy();
      return;
    }
    this.#open.set(serveHttp2(socket, this.#options), socket);
    this.#gauge.inc();
  }

  /** Lets what is open end: connections go when their streams have. */
  drain(): void {
    for (const connection of this.#open.keys()) connection.drain();
  }

  /** Ends every connection now; its peer is told. */
  cutOff(message: string): void {
    for (const [connection, socket] of this.#open) {
      connection.close(errorCode.NO_ERROR, message);
      socket.destroySoon();
    }
  }

  async untilClosed(): Promise<void> {
    if (this.#open.size === 0) return;
    this.#closed ??= Promise.withResolvers();
    await this.#closed.promise;
  }

  #leave(connection: Http2Connection): void {
    if (!this.#open.delete(connection)) return;
    this.#gauge.dec();
    this.#isFull = false;
    if (this.#open.size === 0) this.#closed?.resolve();
  }
}

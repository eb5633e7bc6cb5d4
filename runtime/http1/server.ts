import type { Socket } from "node:net";
import { DateField } from "./date-field.ts";
import { FlushTurn } from "./flush-turn.ts";
import { defaultLimits, type Http1Limits } from "./limits.ts";
import { ServerConnection, type ServerShared } from "./server-connection.ts";
import type { Http1ServerOptions } from "./server-contract.ts";

const slowestSweepMs = 1_000;
const fastestSweepMs = 10;

/** Speaks HTTP/1.1 (RFC 9112) on the sockets it is given; each comes with what its owner knows of the connection. */
export class Http1Server<Connection> implements ServerShared {
  readonly limits: Http1Limits;
  readonly turn = new FlushTurn();
  readonly date = new DateField();
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly lingerMs: number;
  isDraining = false;
  readonly #options: Http1ServerOptions<Connection>;
  readonly #connections = new Set<ServerConnection>();
  readonly #empty: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: Http1ServerOptions<Connection>) {
    this.#options = options;
    this.limits = { ...defaultLimits, ...options.limits };
    this.headTimeoutMs = options.headTimeoutMs;
    this.idleTimeoutMs = options.idleTimeoutMs;
    this.lingerMs = options.lingerMs ?? 1_000;
    const shortest = Math.min(options.headTimeoutMs, options.idleTimeoutMs, 2 * this.lingerMs);
    const sweepMs = Math.max(fastestSweepMs, Math.min(slowestSweepMs, shortest / 2));
    this.#sweeper = setInterval(() => {
      for (const connection of this.#connections) connection.sweep(sweepMs);
    }, sweepMs);
  }

  /** Takes over a connection; `received` was read from it already. */
  accept(socket: Socket, about: Connection, received?: Buffer): void {
    const { onRequest, onRefused } = this.#options;
    const connection = new ServerConnection(socket, this, {
      request: (exchange, head) => onRequest(exchange, head, about),
      refused: (fault, line) => onRefused(fault, about, line),
      closed: () => this.#closed(connection),
    });
    this.#connections.add(connection);
    if (received !== undefined && received.length > 0) connection.receive(received);
    if (this.isDraining) connection.drain();
  }

  /** Connections close once no request is being answered, and responses that begin now say so; resolves when none is left. */
  drain(): Promise<void> {
    this.isDraining = true;
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size === 0) this.#empty.resolve();
    return this.#empty.promise;
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    const empty = this.drain();
    for (const connection of [...this.#connections]) connection.socket.destroy();
    await empty;
    clearInterval(this.#sweeper);
  }

  #closed(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (this.isDraining && this.#connections.size === 0) this.#empty.resolve();
  }
}

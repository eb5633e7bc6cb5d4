import type { Socket } from "node:net";
import { DateField } from "./date-field.ts";
import { FlushTurn } from "./flush-turn.ts";
import { defaultLimits, type Http1Limits } from "./limits.ts";
import { ServerConnection, type ServerShared } from "./server-connection.ts";
import type { Http1ServerOptions } from "./server-contract.ts";

const slowestSweepMs = 1_000;
const fastestSweepMs = 10;
/** A client does not know yet that the server drains: its next request may be on its way, or lie in the socket unread. */
const drainGraceMs = 200;

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
  #drainTimer: NodeJS.Timeout | undefined;

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

  /**
   * Responses that begin now say that the connection closes; one without a request closes when it has stayed so for a moment.
   * Resolves when none is left.
   */
  drain(): Promise<void> {
    this.isDraining = true;
    this.#drainTimer ??= setTimeout(() => {
      for (const connection of [...this.#connections]) connection.drain();
    }, drainGraceMs);
    if (this.#connections.size === 0) this.#emptied();
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
    if (this.isDraining && this.#connections.size === 0) this.#emptied();
  }

  #emptied(): void {
    clearTimeout(this.#drainTimer);
    this.#empty.resolve();
  }
}

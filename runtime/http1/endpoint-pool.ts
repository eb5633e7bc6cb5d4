import {
  ClientConnection,
  type ClientConnectionEvents,
  type ClientShared,
  type ServerAddress,
} from "./client-connection.ts";
import type { ResponseReceiver } from "./client-contract.ts";
import { ClientExchange } from "./client-exchange.ts";
import type { RequestStart } from "./request-text.ts";

export interface PoolLimits {
  readonly maxConnections: number;
  readonly maxIdle: number;
}

/** The connections to one address: the one that became idle last is used first, and requests beyond the limit wait. */
export class EndpointPool implements ClientConnectionEvents {
  readonly #address: ServerAddress;
  readonly #shared: ClientShared;
  readonly #limits: PoolLimits;
  readonly #all = new Set<ClientConnection>();
  readonly #idle: ClientConnection[] = [];
  readonly #waiting = new Set<ClientExchange>();
  readonly #abandon = (exchange: ClientExchange): void => {
    this.#waiting.delete(exchange);
  };
  #isClosed = false;

  constructor(address: ServerAddress, shared: ClientShared, limits: PoolLimits) {
    this.#address = address;
    this.#shared = shared;
    this.#limits = limits;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0 && this.#waiting.size === 0;
  }

  /** Begins a request on an idle connection, or on a new one, or when one becomes idle. */
  request(start: RequestStart, receiver: ResponseReceiver): ClientExchange {
    const exchange = new ClientExchange(start, receiver, this.#abandon);
    const idle = this.#idle.pop();
    if (idle !== undefined) idle.take(exchange);
    else if (this.#all.size < this.#limits.maxConnections) this.#connect(exchange);
    else this.#waiting.add(exchange);
    return exchange;
  }

  /** Called at intervals. */
  sweep(passedMs: number): void {
    for (const connection of [...this.#idle]) connection.sweep(passedMs);
  }

  /** Closes what is idle, and what is not with the error. */
  close(error: Error): void {
    this.#isClosed = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const connection of [...this.#all]) connection.fail("lost", error);
    for (const exchange of waiting) {
      exchange.isOver = true;
      exchange.receiver.failed("connect", error);
    }
  }

  released(connection: ClientConnection): void {
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      connection.take(next);
      next.receiver.connected();
    } else if (this.#idle.length < this.#limits.maxIdle) this.#idle.push(connection);
    else connection.destroy();
  }

  closed(connection: ClientConnection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    const [next] = this.#waiting;
    if (next === undefined || this.#isClosed) return;
    this.#waiting.delete(next);
    this.#connect(next);
  }

  #connect(exchange: ClientExchange): void {
    const connection = new ClientConnection(this.#address, this.#shared, this);
    this.#all.add(connection);
    connection.take(exchange);
  }
}

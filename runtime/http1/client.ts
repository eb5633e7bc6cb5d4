import type { ClientShared, ServerAddress } from "./client-connection.ts";
import type { Http1ClientOptions, ResponseReceiver } from "./client-contract.ts";
import type { ClientExchange } from "./client-exchange.ts";
import { EndpointPool, type PoolLimits } from "./endpoint-pool.ts";
import { FlushTurn } from "./flush-turn.ts";
import { defaultLimits, type Http1Limits } from "./limits.ts";
import type { RequestStart } from "./request-text.ts";

const slowestSweepMs = 1_000;
const fastestSweepMs = 10;
const readBytes = 64 * 1024;

/** Sends HTTP/1.1 requests (RFC 9112) and keeps the connections for the next ones. */
export class Http1Client implements ClientShared, Disposable {
  readonly limits: Http1Limits;
  readonly turn = new FlushTurn();
  readonly readBuffer = Buffer.allocUnsafeSlow(readBytes);
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly #poolLimits: PoolLimits;
  readonly #pools = new Map<string, EndpointPool>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: Http1ClientOptions) {
    this.limits = { ...defaultLimits, ...options.limits };
    this.connectTimeoutMs = options.connectTimeoutMs;
    this.idleTimeoutMs = options.idleTimeoutMs;
    const maxConnections = options.maxConnectionsPerEndpoint;
    this.#poolLimits = { maxConnections, maxIdle: options.maxIdlePerEndpoint ?? maxConnections };
    const sweepMs = Math.max(fastestSweepMs, Math.min(slowestSweepMs, options.idleTimeoutMs / 2));
    this.#sweeper = setInterval(() => this.#sweep(sweepMs), sweepMs);
    this.#sweeper.unref();
  }

  /** Begins a request to the address of that name; the receiver is told nothing before this has returned. */
  request(name: string, address: ServerAddress, start: RequestStart, receiver: ResponseReceiver): ClientExchange {
    let pool = this.#pools.get(name);
    if (pool === undefined) {
      pool = new EndpointPool(address, this, this.#poolLimits);
      this.#pools.set(name, pool);
    }
    return pool.request(start, receiver);
  }

  /** Closes all connections at once; requests under way fail. */
  [Symbol.dispose](): void {
    clearInterval(this.#sweeper);
    const error = new Error("the client is closed");
    for (const pool of this.#pools.values()) pool.close(error);
    this.#pools.clear();
  }

  #sweep(passedMs: number): void {
    for (const [name, pool] of this.#pools) {
      pool.sweep(passedMs);
      if (pool.isEmpty) this.#pools.delete(name);
    }
  }
}

import type net from "node:net";
import type { Upstreams } from "../egress/upstreams.ts";
import { LiveSet } from "../http2/live-set.ts";
import { type Listener, listen } from "../listen.ts";
import { hostPort } from "../proxy/stream.ts";
import type { ConnectionRecord } from "../telemetry/connection-log.ts";
import type { Log } from "../telemetry/log.ts";
import { TcpConnection } from "./tcp-connection.ts";
import type { TcpRoute } from "./tcp-route.ts";

export interface TcpListenerOptions {
  readonly upstreams: Upstreams;
  readonly log: Log;
  /** Gives each connection of the process its id. */
  readonly nextId: () => number;
  readonly finished: (record: ConnectionRecord) => void;
  readonly lingerMs: number;
}

const sweepsPerIdle = 4;

/** One address on which TCP connections are taken, and the connections that came there. */
export class TcpListener {
  /** As it is configured. */
  readonly wanted: string;
  readonly #options: TcpListenerOptions;
  readonly #live = new LiveSet<TcpConnection>();
  #route: TcpRoute;
  #listener: Listener | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #empty: PromiseWithResolvers<void> | undefined;

  private constructor(route: TcpRoute, options: TcpListenerOptions) {
    this.wanted = route.config.listen;
    this.#options = options;
    this.#route = route;
    this.#startSweeper();
  }

  /** Resolves when it listens; rejects when it cannot. The routes stay with the caller. */
  static async open(route: TcpRoute, options: TcpListenerOptions): Promise<TcpListener> {
    const opened = new TcpListener(route, options);
    try {
      opened.#listener = await listen(route.config.listen, (socket) => opened.#accept(socket), { allowHalfOpen: true });
    } catch (error) {
      clearInterval(opened.#sweeper);
      throw error;
    }
    return opened;
  }

  /** As bound. */
  get address(): string {
    return this.#listener?.address ?? "";
  }

  get active(): number {
    return this.#live.size;
  }

  /** What connections that begin now do. */
  get route(): TcpRoute {
    return this.#route;
  }

  /** Gives connections that begin from now on another route; the one before is the caller's to dispose. */
  replaceRoute(route: TcpRoute): void {
    this.#route = route;
    this.#startSweeper();
  }

  /** Accepts nothing more and resolves when every connection has ended. */
  async drain(): Promise<void> {
    await this.#listener?.stop();
    if (this.#live.size === 0) return;
    this.#empty ??= Promise.withResolvers();
    await this.#empty.promise;
  }

  /** Accepts nothing more and ends what is left. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const drained = this.drain();
    for (const connection of this.#live) connection.abort("shutdown");
    await drained;
  }

  #accept(socket: net.Socket): void {
    const route = this.#route;
    const { config, filters, maxBufferBytes } = route;
    const { upstreams, log, nextId, finished, lingerMs } = this.#options;
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    const connection = new TcpConnection(socket, {
      facts: {
        id: nextId(),
        listener: this.wanted,
        remoteAddress,
        remotePort,
        peer: hostPort(remoteAddress, remotePort),
        localAddress,
        localPort,
        upstream: config.to.upstream,
        endpoint: undefined,
        upstreamLocalAddress: undefined,
        upstreamLocalPort: undefined,
      },
      filters,
      balancer: upstreams.balancer(config.to.upstream),
      connectTimeoutMs: config.connectTimeout,
      maxBufferBytes,
      lingerMs,
      log,
      finished: (over, record) => {
        this.#live.delete(over);
        route.end();
        finished(record);
        if (this.#live.size === 0) this.#empty?.resolve();
      },
    });
    route.begin();
    this.#live.add(connection);
    if (this.#live.size > config.maxConnections) connection.abort("too_many_connections");
    else connection.start();
  }

  #startSweeper(): void {
    clearInterval(this.#sweeper);
    const { idleTimeout } = this.#route.config;
    this.#sweeper = idleTimeout === 0 ? undefined : setInterval(() => this.#sweep(), idleTimeout / sweepsPerIdle);
  }

  /** Ends the connections in which nothing moved for that many sweeps. */
  #sweep(): void {
    for (const connection of this.#live) if (connection.sweep() > sweepsPerIdle) connection.abort("idle_timeout");
  }
}

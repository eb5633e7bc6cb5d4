import type { Configuration } from "../config/schema.ts";
import type { Upstreams } from "../egress/upstreams.ts";
import type { PluginSource } from "../plugin/contract.ts";
import type { ConnectionRecord } from "../telemetry/connection-log.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { TcpListener } from "./tcp-listener.ts";
import { TcpRoute } from "./tcp-route.ts";

export interface TcpIngressOptions {
  readonly config: Configuration["ingress"];
  readonly plugins: PluginSource;
  readonly upstreams: Upstreams;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Called once for every connection, when it is over. */
  readonly onComplete: (record: ConnectionRecord) => void;
  /** A connection that must close has this long to send what is left; default 5 s. */
  readonly lingerMs?: number;
}

/** The listeners of `ingress.tcp`: each passes its connections through filters to an upstream. */
export class TcpIngress implements AsyncDisposable {
  readonly #options: TcpIngressOptions;
  readonly #listeners: TcpListener[] = [];
  readonly #retiring = new Set<Promise<void>>();
  #updating: Promise<unknown> = Promise.resolve();
  #lastId = 0;

  private constructor(options: TcpIngressOptions) {
    this.#options = options;
    options.metrics.reading("outrigger_tcp_active_connections", "TCP connections that are open", () => this.active);
  }

  /** Resolves when all listen; rejects when a plugin or an address is not acceptable, with nothing left open. */
  static async open(options: TcpIngressOptions): Promise<TcpIngress> {
    const { config, plugins, upstreams, log, lingerMs = 5_000 } = options;
    const ingress = new TcpIngress(options);
    const finished = ingress.#recorder();
    const nextId = (): number => {
      ingress.#lastId += 1;
      return ingress.#lastId;
    };
    try {
      for (const entry of config.tcp) {
        await using route = new AsyncDisposableStack();
        const built = route.use(await TcpRoute.build(entry, config.maxBufferBytes, plugins));
        ingress.#listeners.push(await TcpListener.open(built, { upstreams, log, nextId, finished, lingerMs }));
        route.move();
      }
    } catch (error) {
      await ingress[Symbol.asyncDispose]();
      throw error;
    }
    return ingress;
  }

  /** As bound, in the order of the configuration. */
  get addresses(): readonly string[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** Connections that are open. */
  get active(): number {
    return this.#listeners.reduce((sum, { active }) => sum + active, 0);
  }

  /** Names of the plugins that connections need and that cannot serve now. */
  readiness(): readonly string[] {
    const uses = this.#listeners.flatMap(({ route }) => route.filters);
    return [...new Set(uses.filter(({ ready }) => !ready).map(({ plugin }) => plugin))];
  }

  /**
   * Filters, upstreams and limits for connections that begin afterwards, by the addresses of the listeners, which stay as
   * opened. Rejects when a plugin refuses, and nothing changes.
   */
  update(config: Configuration["ingress"]): Promise<void> {
    const update = this.#updating.then(() => this.#update(config));
    this.#updating = update.catch(() => undefined);
    return update;
  }

  /** Accepts nothing more and lets connections end, for at most the deadline; then ends what is left. */
  async drain(deadlineMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([Promise.all(this.#listeners.map((listener) => listener.drain())), deadline]);
    clearTimeout(timer);
    await this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#updating;
    for (const { route } of this.#listeners.splice(0)) this.#retire(route);
    await Promise.all(this.#retiring);
  }

  async #update({ tcp, maxBufferBytes }: Configuration["ingress"]): Promise<void> {
    await using building = new AsyncDisposableStack();
    const changes: { listener: TcpListener; route: TcpRoute }[] = [];
    // Several may ask for any free port.
    const left = [...tcp];
    for (const listener of this.#listeners) {
      const at = left.findIndex(({ listen }) => listen === listener.wanted);
      const [entry] = at < 0 ? [] : left.splice(at, 1);
      if (entry === undefined) continue;
      const route = building.use(await TcpRoute.build(entry, maxBufferBytes, this.#options.plugins));
      changes.push({ listener, route });
    }
    building.move();
    for (const { listener, route } of changes) {
      this.#retire(listener.route);
      listener.replaceRoute(route);
    }
  }

  async #close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  /** Counts connections and their bytes, and tells of them. */
  #recorder(): (record: ConnectionRecord) => void {
    const { metrics, onComplete } = this.#options;
    const name = "outrigger_tcp_connections_total";
    const ended = metrics.tallies(name, "TCP connections that ended", ["listener", "upstream", "details"]);
    const bytes = metrics.tallies("outrigger_tcp_bytes_total", "Bytes of TCP connections that ended", [
      "listener",
      "upstream",
      "direction",
    ]);
    return (record) => {
      const { listener, upstream, details, bytesReceived, bytesSent } = record;
      ended.of(listener, upstream, details).count += 1;
      bytes.of(listener, upstream, "received").count += bytesReceived;
      bytes.of(listener, upstream, "sent").count += bytesSent;
      onComplete(record);
    };
  }

  #retire(route: TcpRoute): void {
    const retired = route[Symbol.asyncDispose]()
      .catch((error: unknown) => this.#options.log.error({ err: error }, "plugins of a TCP listener were not let go"))
      .finally(() => this.#retiring.delete(retired));
    this.#retiring.add(retired);
  }
}

import type { Configuration } from "../config/schema.ts";
import type { Upstreams } from "../egress/upstreams.ts";
import { type Listener, listen } from "../listen.ts";
import type { PluginSource } from "../plugin/contract.ts";
import type { ConnectionFacts, Failure, RequestSink, ResponseSink } from "../proxy/exchange.ts";
import { tooLarge } from "../proxy/failures.ts";
import { FilterChain, type Target } from "../proxy/filter-chain.ts";
import type { HeaderList } from "../proxy/headers.ts";
import { declaredLength } from "../proxy/outlet.ts";
import { Stream } from "../proxy/stream.ts";
import type { AccessRecord } from "../telemetry/access-log.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { addForwarded } from "./forwarded.ts";
import { Http1Ingress } from "./http1.ts";
import { IngressMetrics } from "./ingress-metrics.ts";
import { refusalRecord } from "./refusal-record.ts";
import { type Route, RoutingTable } from "./routing-table.ts";

export interface IngressOptions {
  readonly config: Configuration["ingress"];
  readonly plugins: PluginSource;
  readonly upstreams: Upstreams;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Called once for every exchange, when it is over. */
  readonly onComplete: (record: AccessRecord) => void;
  /** A client has this long to send a head; default 10 s. */
  readonly headTimeoutMs?: number;
  /** Connections without a request are closed after this; default 60 s. */
  readonly idleConnectionMs?: number;
  /** Exchanges in which nothing moves are ended after this; default 5 minutes. */
  readonly idleStreamMs?: number;
}

const sweepsPerIdle = 4;
const noRoute: Failure = {
  status: 404,
  details: "route_not_found",
  message: "no route matches the request",
  flag: "NR",
};
const nowhere: Target = {
  kind: "handler",
  handler: () => {
    throw new Error("a refused request has no target");
  },
};

/** The HTTP listener that applications' clients reach: finds the route of a request and drives its exchange. */
export class Ingress implements AsyncDisposable {
  readonly #options: IngressOptions;
  readonly #metrics: IngressMetrics;
  readonly #server: Http1Ingress;
  readonly #active = new Set<FilterChain>();
  readonly #retiring = new Set<Promise<void>>();
  readonly #sweeper: NodeJS.Timeout;
  #listener: Listener | undefined;
  #table: RoutingTable;
  #updating: Promise<unknown> = Promise.resolve();

  private constructor(options: IngressOptions, table: RoutingTable) {
    this.#options = options;
    this.#table = table;
    this.#metrics = new IngressMetrics(options.metrics);
    this.#server = new Http1Ingress({
      serve: (connection, request, endOfStream, response) => this.#serve(connection, request, endOfStream, response),
      maxHeaderBytes: options.config.maxHeaderBytes,
      headTimeoutMs: options.headTimeoutMs ?? 10_000,
      idleConnectionMs: options.idleConnectionMs ?? 60_000,
      refused: (fault, connection, line) => {
        this.#metrics.refused(fault.status);
        this.#tell(refusalRecord(fault, connection, line));
      },
    });
    this.#sweeper = setInterval(() => this.#sweep(), (options.idleStreamMs ?? 300_000) / sweepsPerIdle);
  }

  /** Resolves when it listens on `config.http`; rejects when the routes or the address are not acceptable. */
  static async open(options: IngressOptions): Promise<Ingress> {
    const table = await RoutingTable.build(options.config, options.plugins, options.upstreams);
    const ingress = new Ingress(options, table);
    try {
      ingress.#listener = await listen(options.config.http, (socket) => ingress.#server.accept(socket));
    } catch (error) {
      await ingress[Symbol.asyncDispose]();
      throw error;
    }
    return ingress;
  }

  /** As bound, `127.0.0.1:2045`. */
  get address(): string {
    return this.#listener?.address ?? "";
  }

  /** Requests that have not been answered in full. */
  get active(): number {
    return this.#active.size;
  }

  /**
   * Routes, filters and limits of bodies for requests that begin afterwards; streams that began before end on the old
   * ones. Rejects when they are not acceptable, and nothing changes. The address and `maxHeaderBytes` stay as opened.
   */
  update(config: Configuration["ingress"]): Promise<void> {
    const update = this.#updating.then(async () => {
      const next = await RoutingTable.build(config, this.#options.plugins, this.#options.upstreams);
      const old = this.#table;
      this.#table = next;
      this.#retire(old);
    });
    this.#updating = update.catch(() => undefined);
    return update;
  }

  /** Names of the plugins that routes need and that cannot serve now. */
  readiness(): readonly string[] {
    return this.#table.missing();
  }

  /** Accepts nothing more and lets what is in flight finish, for at most the deadline; then closes what is left. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#listener?.stop();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([this.#server.drain(), deadline]);
    clearTimeout(timer);
    await this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#listener?.stop();
    await this.#server.close();
    await this.#updating;
    this.#retire(this.#table);
    await Promise.all(this.#retiring);
  }

  #serve(connection: ConnectionFacts, request: HeaderList, endOfStream: boolean, response: ResponseSink): RequestSink {
    const requestId = addForwarded(request, connection);
    const stream = new Stream(connection, request, requestId);
    const table = this.#table;
    const route = table.find(request);
    stream.route = route?.name;
    const found = this.#destination(table, route, request);
    const refusal = "status" in found ? found : undefined;
    const chain = new FilterChain({
      stream,
      filters: refusal === undefined ? (route?.filters ?? []) : [],
      target: "status" in found ? nowhere : found,
      client: response,
      maxBufferBytes: table.config.maxBufferBytes,
      maxBodyBytes: table.config.maxBodyBytes,
      timeoutMs: route?.timeoutMs ?? 0,
      log: this.#options.log,
      finished: (over) => this.#finished(over, table),
    });
    table.begin();
    this.#active.add(chain);
    this.#metrics.began();
    if (refusal === undefined) chain.start(endOfStream);
    else chain.fail(refusal);
    return chain.request;
  }

  #destination(table: RoutingTable, route: Route | undefined, request: HeaderList): Target | Failure {
    if (route === undefined) return noRoute;
    const { maxBodyBytes } = table.config;
    if (maxBodyBytes !== undefined && (declaredLength(request) ?? 0) > maxBodyBytes) return tooLarge(maxBodyBytes);
    return route.target(request);
  }

  #finished(chain: FilterChain, table: RoutingTable): void {
    this.#active.delete(chain);
    table.end();
    const record = chain.stream.record();
    this.#metrics.ended(record);
    this.#tell(record);
  }

  #tell(record: AccessRecord): void {
    try {
      this.#options.onComplete(record);
    } catch (error) {
      this.#options.log.error({ err: error }, "an exchange could not be recorded");
    }
  }

  #sweep(): void {
    for (const chain of [...this.#active]) {
      if (chain.sweep() < sweepsPerIdle) continue;
      const status = chain.requestArrived ? 504 : 408;
      chain.fail({ status, details: "stream_idle_timeout", message: "nothing moved for too long", flag: "SI" });
    }
  }

  #retire(table: RoutingTable): void {
    const retired = table[Symbol.asyncDispose]()
      .catch((error: unknown) => this.#options.log.error({ err: error }, "plugins of old routes could not be let go"))
      .finally(() => this.#retiring.delete(retired));
    this.#retiring.add(retired);
  }
}

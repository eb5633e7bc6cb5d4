import type net from "node:net";
import type { Configuration } from "../config/schema.ts";
import type { Upstreams } from "../egress/upstreams.ts";
import { type Listener, listen } from "../listen.ts";
import type { PluginSource } from "../plugin/contract.ts";
import type { AccessRecord } from "../telemetry/access-log.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type AccessPolicy, Exchanges } from "./exchanges.ts";
import { Http1Ingress } from "./http1.ts";
import { Http2Server } from "./http2.ts";
import { IngressMetrics } from "./ingress-metrics.ts";
import { detectProtocol } from "./protocol-detection.ts";
import { refusalRecord } from "./refusal-record.ts";
import { RoutingTable } from "./routing-table.ts";

export interface IngressOptions {
  readonly config: Configuration["ingress"];
  readonly plugins: PluginSource;
  readonly upstreams: Upstreams;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Called once for every exchange, when it is over. */
  readonly onComplete: (record: AccessRecord) => void;
  /** Whether `onComplete` does anything with a record now; default always. */
  readonly isRecording?: () => boolean;
  /** Asked about each request that has a route, before anything is done with it. */
  readonly policy?: AccessPolicy;
  /** A client has this long to send a head; default 10 s. */
  readonly headTimeoutMs?: number;
  /** Connections without a request are closed after this; default 60 s. */
  readonly idleConnectionMs?: number;
  /** Exchanges in which nothing moves are ended after this; default 5 minutes. */
  readonly idleStreamMs?: number;
}

const sweepsPerIdle = 4;

/** The listener that applications' clients reach, by HTTP/1.1 and by HTTP/2 with prior knowledge on the same port. */
export class Ingress implements AsyncDisposable {
  readonly #options: IngressOptions;
  readonly #exchanges: Exchanges;
  readonly #http1: Http1Ingress;
  readonly #http2: Http2Server;
  readonly #undecided = new Set<net.Socket>();
  #nextConnection = 1;
  readonly #retiring = new Set<Promise<void>>();
  readonly #sweeper: NodeJS.Timeout;
  #listener: Listener | undefined;
  #table: RoutingTable;
  #updating: Promise<unknown> = Promise.resolve();

  private constructor(options: IngressOptions, table: RoutingTable) {
    const { config, upstreams, log, headTimeoutMs = 10_000, idleConnectionMs = 60_000 } = options;
    this.#options = options;
    this.#table = table;
    this.#exchanges = new Exchanges({
      upstreams,
      metrics: new IngressMetrics(options.metrics, () => this.active),
      log,
      table: () => this.#table,
      policy: options.policy,
      isRecording: options.isRecording ?? (() => true),
      record: options.onComplete,
      answered: (stream) => this.#http2.linger(stream),
    });
    this.#http1 = new Http1Ingress({
      serve: (connection, request, endOfStream, response) =>
        this.#exchanges.serve(connection, request, endOfStream, response),
      maxHeaderBytes: config.maxHeaderBytes,
      headTimeoutMs,
      idleConnectionMs,
      refused: (fault, connection, line) => this.#exchanges.refused(refusalRecord(fault, connection, line)),
    });
    this.#http2 = new Http2Server({
      onRequest: (connection, stream, headers, endStream) =>
        this.#exchanges.serveHttp2(connection, stream, headers, endStream),
      limits: {
        maxHeaderListBytes: config.maxHeaderBytes,
        settingsTimeoutMs: headTimeoutMs,
        idleMs: idleConnectionMs,
      },
      onError: (error) => log.error({ err: error }, "an exchange over HTTP/2 failed"),
    });
    this.#sweeper = setInterval(() => this.#sweep(), (options.idleStreamMs ?? 300_000) / sweepsPerIdle);
  }

  /** Resolves when it listens on `config.http`; rejects when the routes or the address are not acceptable. */
  static async open(options: IngressOptions): Promise<Ingress> {
    const table = await RoutingTable.build(options.config, options.plugins, options.upstreams);
    const ingress = new Ingress(options, table);
    try {
      ingress.#listener = await listen(options.config.http, (socket) => ingress.#accept(socket));
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
    return this.#exchanges.active;
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
    this.#closeUndecided();
    await Promise.race([Promise.all([this.#http1.drain(), this.#http2.drain()]), deadline]);
    clearTimeout(timer);
    await Promise.all([this.#http1.close(), this.#http2.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#listener?.stop();
    this.#closeUndecided();
    await Promise.all([this.#http1.close(), this.#http2.close()]);
    this.#exchanges[Symbol.dispose]();
    await this.#updating;
    this.#retire(this.#table);
    await Promise.all(this.#retiring);
  }

  #accept(socket: net.Socket): void {
    this.#undecided.add(socket);
    socket.once("close", () => this.#undecided.delete(socket));
    detectProtocol(socket, {
      timeoutMs: this.#options.headTimeoutMs ?? 10_000,
      detected: (protocol, received) => {
        this.#undecided.delete(socket);
        const id = this.#nextConnection++;
        if (protocol === "HTTP/2") this.#http2.accept(socket, id, received);
        else this.#http1.accept(socket, id, received);
      },
    });
  }

  /** Connections on which nothing was asked yet. */
  #closeUndecided(): void {
    for (const socket of this.#undecided) socket.destroy();
  }

  #sweep(): void {
    this.#exchanges.sweep(sweepsPerIdle);
    this.#http2.sweep(sweepsPerIdle);
  }

  #retire(table: RoutingTable): void {
    const retired = table[Symbol.asyncDispose]()
      .catch((error: unknown) => this.#options.log.error({ err: error }, "plugins of old routes could not be let go"))
      .finally(() => this.#retiring.delete(retired));
    this.#retiring.add(retired);
  }
}

import { isDeepStrictEqual } from "node:util";
import { RuntimeError } from "../../components/error.ts";
import { Http1Client } from "../http1/client.ts";
import { LiveSet } from "../http2/live-set.ts";
import type { Caller, PluginSource } from "../plugin/contract.ts";
import type { HttpMessage } from "../plugin/outside-calls.ts";
import type { Handler, RequestSink, ResponseSink } from "../proxy/exchange.ts";
import type { Http2Requester } from "../proxy/forwarding.ts";
import type { HeaderList } from "../proxy/headers.ts";
import type { Log } from "../telemetry/log.ts";
import { RoundRobin } from "./balancer.ts";
import { type EndpointSource, endpointName, staticEndpoints } from "./endpoint-source.ts";
import { follow, type Upstream } from "./followed-upstream.ts";
import { HandlerRequester } from "./handled-stream.ts";
import { callOnce } from "./http-call.ts";
import { Http2Endpoints } from "./http2-endpoints.ts";
import { Http2Request } from "./http2-request.ts";
import { refusedRequest } from "./refused-request.ts";
import { RetiredFilters } from "./retired-filters.ts";
import { openFilters, UpstreamFilters } from "./upstream-filters.ts";
import { UpstreamRequest } from "./upstream-request.ts";
import {
  type ApplicationAddresses,
  absent,
  endpointOf,
  type UpstreamSettings,
  withApplication,
} from "./upstream-settings.ts";

export interface UpstreamsOptions {
  readonly upstreams: Readonly<Record<string, UpstreamSettings>>;
  readonly application?: ApplicationAddresses;
  readonly log: Log;
  /** Who knows the endpoints of an upstream; default the list in its configuration. */
  readonly source?: (name: string, config: UpstreamSettings) => EndpointSource;
  readonly connectTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly maxHeaderBytes?: number;
  /** Largest answer that `httpCall` takes; default 8 MiB. */
  readonly maxCallBytes?: number;
}

/** The upstreams of the configuration and the application: streams exchanges to them, and makes single calls. */
export class Upstreams implements AsyncDisposable {
  readonly #options: UpstreamsOptions;
  readonly #http1: Http1Client;
  readonly #active = new LiveSet<UpstreamRequest | Http2Request>();
  /** Of upstreams that are not configured any more: requests end on them. */
  readonly #leaving = new Set<Http2Endpoints>();
  /** Filters that requests end on which began on them. */
  readonly #retired: RetiredFilters;
  #upstreams: ReadonlyMap<string, Upstream> = new Map();
  #plugins: PluginSource | undefined;
  #updating: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: UpstreamsOptions) {
    this.#options = options;
    this.#http1 = new Http1Client({
      connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
      idleTimeoutMs: options.idleTimeoutMs ?? 15_000,
      maxConnectionsPerEndpoint: 1024,
      maxIdlePerEndpoint: 256,
      limits: { maxHeadBytes: options.maxHeaderBytes ?? 64 * 1024 },
    });
    this.#retired = new RetiredFilters(options.log);
    this.#switch(withApplication(options.upstreams, options.application ?? {}), new Map());
  }

  /**
   * Puts the filters of upstreams in force; an upstream that has some takes no requests before. Rejects with PluginError when
   * a plugin refuses its configuration, or is no filter. Disposing the result lets the plugins go.
   */
  async filterWith(plugins: PluginSource): Promise<AsyncDisposable> {
    await this.#inTurn(() => {
      const configured = [...this.#upstreams].map(([name, { config }]) => [name, config] as const);
      return this.#apply(new Map(configured), plugins);
    });
    return { [Symbol.asyncDispose]: () => this.#letGo() };
  }

  /**
   * Replaces the upstreams for requests that begin now; those under way end where they are. Rejects when their filters are not
   * acceptable, and nothing changes.
   */
  update(
    config: UpstreamsOptions["upstreams"],
    addresses: ApplicationAddresses = this.#options.application ?? {},
  ): Promise<void> {
    return this.#inTurn(() => this.#apply(withApplication(config, addresses), this.#plugins));
  }

  has(name: string): boolean {
    return this.#upstreams.has(name);
  }

  /** Names of the configured upstreams, without the application. */
  get names(): readonly string[] {
    return [...this.#upstreams.keys()].filter((name) => !name.startsWith(":"));
  }

  /** What the endpoints of the upstream speak; undefined when there is no such upstream. */
  protocol(name: string): UpstreamSettings["protocol"] | undefined {
    return this.#upstreams.get(name)?.config.protocol;
  }

  /** The endpoints of the upstream, as it is configured now, for those who dial themselves. */
  balancer(name: string): RoundRobin | undefined {
    return this.#upstreams.get(name)?.balancer;
  }

  /** `host:port` of the endpoint whose turn it is, for clients that dial themselves. */
  address(name: string): string | undefined {
    const endpoint = this.#upstreams.get(name)?.balancer.pick();
    return endpoint && endpointName(endpoint);
  }

  /** Names of the plugins that upstreams need as filters, and that cannot serve now. */
  readiness(): readonly string[] {
    const lists = [...this.#upstreams.values()].map(({ filters }) => filters);
    return lists.flatMap((filters) => (filters instanceof UpstreamFilters ? filters.missing() : []));
  }

  /**
   * The connections of an upstream that speaks HTTP/2 and has no filters, as it is configured now, for streams that pass as
   * they are.
   */
  http2(name: string): Http2Endpoints | undefined {
    const upstream = this.#upstreams.get(name);
    return upstream?.filters === undefined ? upstream?.http2 : undefined;
  }

  /**
   * Takes streams of gRPC to an upstream that speaks HTTP/2, through its filters when it has some, of a plugin when there is a
   * caller; undefined when there is no such upstream.
   */
  requester(name: string, caller?: Caller): Http2Requester | undefined {
    const upstream = this.#upstreams.get(name);
    if (upstream?.http2 === undefined || upstream.filters === undefined) return upstream?.http2;
    return new HandlerRequester(this.handler(name, caller));
  }

  /**
   * How calls of gRPC come to the upstream that dial themselves: to the address whose turn it is, undefined when there is none,
   * and through its filters when it has some.
   */
  grpc(name: string, caller?: Caller): { readonly address: string | undefined; readonly through?: Http2Requester } {
    const upstream = this.#upstreams.get(name);
    if (upstream?.filters === undefined) return { address: this.address(name) };
    const why = `upstream '${name}' speaks http; a gRPC call through its filters needs one that speaks grpc or http2`;
    const refuse: Handler = (_headers, _endOfStream, response) => refusedRequest(response, why);
    const through = this.requester(name, caller) ?? new HandlerRequester(refuse);
    return { address: upstream.config.endpoints[0], through };
  }

  /** Takes requests to the upstream of that name, as it is configured when they come, of a plugin when there is a caller. */
  handler(name: string, caller?: Caller): Handler {
    return (headers, endOfStream, response) => this.#begin(name, headers, endOfStream, response, caller);
  }

  /**
   * Sends one HTTP request (`:method`, `:path`, `:authority` among its headers) and resolves to the whole answer, with
   * `:status`. Rejects with RuntimeError when it cannot be sent, the signal aborts, or no whole answer comes.
   */
  async httpCall(name: string, request: HttpMessage, signal: AbortSignal, caller?: Caller): Promise<HttpMessage> {
    if (!this.has(name)) throw this.#unknown(name);
    return callOnce(this.handler(name, caller), request, signal, this.#options.maxCallBytes ?? 8 * 1024 ** 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const letGo = this.#letGo();
    for (const upstream of this.#upstreams.values()) upstream.watching.abort();
    for (const request of this.#active) request.abandon();
    this.#http1[Symbol.dispose]();
    const endpoints = [...this.#upstreams.values()].flatMap(({ http2 }) => (http2 === undefined ? [] : [http2]));
    await Promise.all([letGo, ...[...endpoints, ...this.#leaving].map((each) => each[Symbol.asyncDispose]())]);
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const changed = this.#updating.then(change);
    this.#updating = changed.catch(() => undefined);
    return changed;
  }

  /** Opens the filters of what is new, and only then switches to it. */
  async #apply(wanted: ReadonlyMap<string, UpstreamSettings>, plugins: PluginSource | undefined): Promise<void> {
    await using opening = new AsyncDisposableStack();
    const opened = new Map<string, UpstreamFilters>();
    for (const [name, config] of wanted) {
      if (plugins === undefined || this.#known(name, config)?.filters instanceof UpstreamFilters) continue;
      const filters = await openFilters(name, config, plugins, this.#options.log);
      if (filters !== undefined) opened.set(name, opening.use(filters));
    }
    if (this.#closed) return;
    this.#plugins = plugins;
    this.#switch(wanted, opened);
    opening.move();
  }

  #switch(wanted: ReadonlyMap<string, UpstreamSettings>, opened: ReadonlyMap<string, UpstreamFilters>): void {
    const next = new Map<string, Upstream>();
    for (const [name, config] of wanted) {
      const upstream = this.#known(name, config) ?? this.#open(name, config);
      upstream.filters = opened.get(name) ?? upstream.filters;
      next.set(name, upstream);
    }
    for (const [name, upstream] of this.#upstreams) if (next.get(name) !== upstream) this.#leave(upstream);
    this.#upstreams = next;
  }

  /** The upstream that has these settings already. */
  #known(name: string, config: UpstreamSettings): Upstream | undefined {
    const known = this.#upstreams.get(name);
    return known !== undefined && isDeepStrictEqual(known.config, config) ? known : undefined;
  }

  /** From now on no request passes to an upstream with filters; those under way have until the end of this. */
  #letGo(): Promise<void> {
    return this.#inTurn(async () => {
      this.#plugins = undefined;
      for (const upstream of this.#upstreams.values()) {
        if (upstream.filters === undefined) continue;
        void this.#retire(upstream);
        upstream.filters = "closed";
      }
      await this.#retired.end();
    });
  }

  #open(name: string, config: UpstreamSettings): Upstream {
    const source = this.#options.source?.(name, config) ?? staticEndpoints(config.endpoints.map(endpointOf));
    const balancer = new RoundRobin(source.initial);
    const http2 = config.protocol === "http" ? undefined : this.#endpoints(name, balancer);
    const filters = (config.filters?.length ?? 0) > 0 ? "closed" : undefined;
    const upstream: Upstream = { config, balancer, watching: new AbortController(), http2, filters };
    void follow(name, source, upstream, this.#options.log);
    return upstream;
  }

  #endpoints(name: string, balancer: RoundRobin): Http2Endpoints {
    const { connectTimeoutMs = 5_000, idleTimeoutMs = 300_000, maxHeaderBytes = 64 * 1024, log } = this.#options;
    return new Http2Endpoints(balancer, {
      connectTimeoutMs,
      limits: { idleMs: idleTimeoutMs, maxHeaderListBytes: maxHeaderBytes },
      onReceiverError: (error) => log.error({ upstream: name, err: error }, "a response could not be passed on"),
    });
  }

  /** Resolves when no request is in its filters any more. */
  async #retire({ filters }: Upstream): Promise<void> {
    if (filters instanceof UpstreamFilters) await this.#retired.add(filters);
  }

  /** Requests under way end where they are, those included that its filters hold. */
  #leave(upstream: Upstream): void {
    const { watching, http2, filters } = upstream;
    watching.abort();
    const retired = this.#retire(upstream);
    for (const endpoints of this.#leaving) if (endpoints.isDrained) this.#leaving.delete(endpoints);
    if (http2 === undefined) return;
    this.#leaving.add(http2);
    if (filters === undefined) http2.drain();
    else void retired.then(() => http2.drain());
  }

  #begin(
    name: string,
    headers: HeaderList,
    endOfStream: boolean,
    response: ResponseSink,
    caller: Caller | undefined,
  ): RequestSink {
    const upstream = this.#upstreams.get(name);
    const refusal = this.#refusal(name, upstream);
    if (upstream === undefined || refusal !== undefined) {
      return refusedRequest(response, refusal ?? "");
    }
    if (upstream.filters instanceof UpstreamFilters) {
      // The settings may have changed when the filters let it go.
      const target: Handler = (request, isEnd, answer) =>
        this.#send(name, this.#upstreams.get(name) ?? upstream, request, isEnd, answer);
      return upstream.filters.begin(headers, endOfStream, response, caller, target);
    }
    return this.#send(name, upstream, headers, endOfStream, response);
  }

  #send(
    name: string,
    upstream: Upstream,
    headers: HeaderList,
    endOfStream: boolean,
    response: ResponseSink,
  ): RequestSink {
    const asked = { headers, endOfStream, response };
    const request =
      upstream.http2 === undefined
        ? new UpstreamRequest(name, upstream.balancer, this.#http1, asked, (over) => this.#active.delete(over))
        : new Http2Request(name, upstream.http2, asked, (over) => this.#active.delete(over));
    this.#active.add(request);
    return request;
  }

  #refusal(name: string, upstream: Upstream | undefined): string | undefined {
    if (this.#closed) return "the proxy is shutting down";
    if (upstream === undefined) {
      return this.#unknown(name).message;
    }
    if (upstream.filters === "closed") return `the filters of upstream '${name}' are not in force`;
    return undefined;
  }

  #unknown(name: string): RuntimeError {
    const known = this.names.join(", ") || "none";
    const message = absent[name] ?? `upstream '${name}' is not configured; configured: ${known}`;
    return new RuntimeError("NOT_FOUND", "UPSTREAM_NOT_FOUND", message);
  }
}

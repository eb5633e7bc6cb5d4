import { isDeepStrictEqual } from "node:util";
import { RuntimeError } from "../../components/error.ts";
import type { Configuration, UpstreamConfiguration } from "../config/schema.ts";
import { Http1Client } from "../http1/client.ts";
import { LiveSet } from "../http2/live-set.ts";
import { parseHostPort } from "../listen.ts";
import type { HttpMessage } from "../plugin/contract.ts";
import type { Handler, ResponseSink } from "../proxy/exchange.ts";
import type { HeaderList } from "../proxy/headers.ts";
import type { Log } from "../telemetry/log.ts";
import { RoundRobin } from "./balancer.ts";
import { type Endpoint, type EndpointSource, endpointName, staticEndpoints } from "./endpoint-source.ts";
import { callOnce } from "./http-call.ts";
import { Http2Endpoints } from "./http2-endpoints.ts";
import { Http2Request } from "./http2-request.ts";
import { UpstreamRequest } from "./upstream-request.ts";

/** Names under which the application is an upstream, by what it speaks; no name in the configuration can equal them. */
export const application = ":app";
export const grpcApplication = ":app.grpc";

/** Where the application is. */
export interface ApplicationAddresses {
  /** `host:port` where it serves HTTP/1.1. */
  readonly http?: string | undefined;
  /** `host:port` or `unix:/path` where it serves gRPC. */
  readonly grpc?: string | undefined;
}

export interface UpstreamsOptions {
  readonly upstreams: Configuration["upstreams"];
  readonly application?: ApplicationAddresses;
  readonly log: Log;
  /** Who knows the endpoints of an upstream; default the list in its configuration. */
  readonly source?: (name: string, config: UpstreamConfiguration) => EndpointSource;
  readonly connectTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly maxHeaderBytes?: number;
  /** Largest answer that `httpCall` takes; default 8 MiB. */
  readonly maxCallBytes?: number;
}

const absent: Readonly<Record<string, string>> = {
  [application]: "the application has no HTTP address; set app.http",
  [grpcApplication]: "the application has no gRPC address; set app.grpc",
};

interface Upstream {
  readonly config: UpstreamConfiguration;
  readonly balancer: RoundRobin;
  readonly watching: AbortController;
  /** Of one that speaks HTTP/2. */
  readonly http2: Http2Endpoints | undefined;
}

/** The upstreams of the configuration and the application: streams exchanges to them, and makes single calls. */
export class Upstreams implements AsyncDisposable {
  readonly #options: UpstreamsOptions;
  readonly #http1: Http1Client;
  readonly #active = new LiveSet<UpstreamRequest | Http2Request>();
  /** Of upstreams that are not configured any more: requests end on them. */
  readonly #leaving = new Set<Http2Endpoints>();
  #upstreams: ReadonlyMap<string, Upstream> = new Map();
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
    this.update(options.upstreams, options.application);
  }

  /** Replaces the upstreams for requests that begin now; those under way end where they are. */
  update(
    config: Configuration["upstreams"],
    { http, grpc }: ApplicationAddresses = this.#options.application ?? {},
  ): void {
    const wanted = new Map(Object.entries(config));
    if (http !== undefined) wanted.set(application, { endpoints: [http], protocol: "http" });
    if (grpc !== undefined) wanted.set(grpcApplication, { endpoints: [grpc], protocol: "grpc" });
    const next = new Map<string, Upstream>();
    for (const [name, entry] of wanted) {
      const known = this.#upstreams.get(name);
      next.set(name, known && isDeepStrictEqual(known.config, entry) ? known : this.#open(name, entry));
    }
    for (const [name, upstream] of this.#upstreams) if (next.get(name) !== upstream) this.#leave(upstream);
    this.#upstreams = next;
  }

  has(name: string): boolean {
    return this.#upstreams.has(name);
  }

  /** Names of the configured upstreams, without the application. */
  get names(): readonly string[] {
    return [...this.#upstreams.keys()].filter((name) => !name.startsWith(":"));
  }

  /** What the endpoints of the upstream speak; undefined when there is no such upstream. */
  protocol(name: string): UpstreamConfiguration["protocol"] | undefined {
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

  /** The connections of an upstream that speaks HTTP/2, as it is configured now, for streams that pass as they are. */
  http2(name: string): Http2Endpoints | undefined {
    return this.#upstreams.get(name)?.http2;
  }

  /** Takes requests to the upstream of that name, as it is configured when they come. */
  handler(name: string): Handler {
    return (headers, endOfStream, response) => this.#begin(name, headers, endOfStream, response);
  }

  /**
   * Sends one HTTP request (`:method`, `:path`, `:authority` among its headers) and resolves to the whole answer, with
   * `:status`. Rejects with RuntimeError when it cannot be sent, the signal aborts, or no whole answer comes.
   */
  async httpCall(name: string, request: HttpMessage, signal: AbortSignal): Promise<HttpMessage> {
    if (!this.has(name)) throw this.#unknown(name);
    return callOnce(this.handler(name), request, signal, this.#options.maxCallBytes ?? 8 * 1024 ** 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const upstream of this.#upstreams.values()) upstream.watching.abort();
    for (const request of this.#active) request.abandon();
    this.#http1[Symbol.dispose]();
    const endpoints = [...this.#upstreams.values()].flatMap(({ http2 }) => (http2 === undefined ? [] : [http2]));
    await Promise.all([...endpoints, ...this.#leaving].map((each) => each[Symbol.asyncDispose]()));
  }

  #open(name: string, config: UpstreamConfiguration): Upstream {
    const source = this.#options.source?.(name, config) ?? staticEndpoints(config.endpoints.map(endpointOf));
    const balancer = new RoundRobin(source.initial);
    const http2 = config.protocol === "http" ? undefined : this.#endpoints(name, balancer);
    const upstream = { config, balancer, watching: new AbortController(), http2 };
    void this.#follow(name, source, upstream);
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

  /** Requests under way end where they are. */
  #leave({ watching, http2 }: Upstream): void {
    watching.abort();
    for (const endpoints of this.#leaving) if (endpoints.activeRequests === 0) this.#leaving.delete(endpoints);
    if (http2 === undefined) return;
    http2.drain();
    this.#leaving.add(http2);
  }

  async #follow(name: string, source: EndpointSource, upstream: Upstream): Promise<void> {
    const { signal } = upstream.watching;
    try {
      for await (const endpoints of source.watch(signal)) {
        if (signal.aborted) return;
        upstream.balancer.update(endpoints);
        upstream.http2?.forgetGone();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#options.log.error({ upstream: name, err: error }, "the endpoints of an upstream are not followed any more");
    }
  }

  #begin(name: string, headers: HeaderList, endOfStream: boolean, response: ResponseSink) {
    const upstream = this.#upstreams.get(name);
    const refusal = this.#refusal(name, upstream);
    if (upstream === undefined || refusal !== undefined) {
      let wanted = true;
      queueMicrotask(() => {
        const message = refusal ?? "";
        if (wanted) response.reset({ status: 503, details: "no_healthy_upstream", message, flag: "UH" });
      });
      const stop = () => {
        wanted = false;
      };
      const ignore = () => undefined;
      return { data: ignore, trailers: ignore, reset: stop, pause: ignore, resume: ignore };
    }
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
    return undefined;
  }

  #unknown(name: string): RuntimeError {
    const known = this.names.join(", ") || "none";
    const message = absent[name] ?? `upstream '${name}' is not configured; configured: ${known}`;
    return new RuntimeError("NOT_FOUND", "UPSTREAM_NOT_FOUND", message);
  }
}

function endpointOf(address: string): Endpoint {
  return address.startsWith("unix:")
    ? { host: "", port: 0, path: address.slice("unix:".length) }
    : parseHostPort(address);
}

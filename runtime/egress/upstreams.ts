import { isDeepStrictEqual } from "node:util";
import { RuntimeError } from "../../components/error.ts";
import type { Configuration, UpstreamConfiguration } from "../config/schema.ts";
import { parseHostPort } from "../listen.ts";
import type { HttpMessage } from "../plugin/contract.ts";
import type { Handler, ResponseSink } from "../proxy/exchange.ts";
import type { HeaderList } from "../proxy/headers.ts";
import type { Log } from "../telemetry/log.ts";
import { RoundRobin } from "./balancer.ts";
import { type EndpointSource, endpointName, staticEndpoints } from "./endpoint-source.ts";
import { callOnce } from "./http-call.ts";
import { Http1Pool } from "./http1.ts";
import { UpstreamRequest } from "./upstream-request.ts";

/** Name under which the application is an upstream; no name in the configuration can equal it. */
export const application = ":app";

export interface UpstreamsOptions {
  readonly upstreams: Configuration["upstreams"];
  /** `host:port` where the application serves HTTP. */
  readonly application?: string | undefined;
  readonly log: Log;
  /** Who knows the endpoints of an upstream; default the list in its configuration. */
  readonly source?: (name: string, config: UpstreamConfiguration) => EndpointSource;
  readonly connectTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly maxHeaderBytes?: number;
  /** Largest answer that `httpCall` takes; default 8 MiB. */
  readonly maxCallBytes?: number;
}

interface Upstream {
  readonly config: UpstreamConfiguration;
  readonly balancer: RoundRobin;
  readonly watching: AbortController;
}

/** The upstreams of the configuration and the application: streams exchanges to them, and makes single calls. */
export class Upstreams implements AsyncDisposable {
  readonly #options: UpstreamsOptions;
  readonly #pool: Http1Pool;
  readonly #active = new Set<UpstreamRequest>();
  #upstreams: ReadonlyMap<string, Upstream> = new Map();
  #closed = false;

  constructor(options: UpstreamsOptions) {
    this.#options = options;
    this.#pool = new Http1Pool({
      connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
      idleTimeoutMs: options.idleTimeoutMs ?? 15_000,
      maxConnectionsPerEndpoint: 1024,
      maxHeaderBytes: options.maxHeaderBytes ?? 64 * 1024,
    });
    this.update(options.upstreams, options.application);
  }

  /** Replaces the upstreams for requests that begin now; those under way end where they are. */
  update(config: Configuration["upstreams"], applicationAddress = this.#options.application): void {
    const wanted = new Map(Object.entries(config));
    if (applicationAddress !== undefined) {
      wanted.set(application, { endpoints: [applicationAddress], protocol: "http" });
    }
    const next = new Map<string, Upstream>();
    for (const [name, entry] of wanted) {
      const known = this.#upstreams.get(name);
      next.set(name, known && isDeepStrictEqual(known.config, entry) ? known : this.#open(name, entry));
    }
    for (const [name, upstream] of this.#upstreams) if (next.get(name) !== upstream) upstream.watching.abort();
    this.#upstreams = next;
  }

  has(name: string): boolean {
    return this.#upstreams.has(name);
  }

  /** Names of the configured upstreams, without the application. */
  get names(): readonly string[] {
    return [...this.#upstreams.keys()].filter((name) => name !== application);
  }

  /** What the endpoints of the upstream speak; undefined when there is no such upstream. */
  protocol(name: string): UpstreamConfiguration["protocol"] | undefined {
    return this.#upstreams.get(name)?.config.protocol;
  }

  /** `host:port` of the endpoint whose turn it is, for clients that dial themselves. */
  address(name: string): string | undefined {
    const endpoint = this.#upstreams.get(name)?.balancer.pick();
    return endpoint && endpointName(endpoint);
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
    for (const request of [...this.#active]) request.abandon();
    this.#pool[Symbol.dispose]();
  }

  #open(name: string, config: UpstreamConfiguration): Upstream {
    const source = this.#options.source?.(name, config) ?? staticEndpoints(config.endpoints.map(parseHostPort));
    const upstream = { config, balancer: new RoundRobin(source.initial), watching: new AbortController() };
    void this.#follow(name, source, upstream);
    return upstream;
  }

  async #follow(name: string, source: EndpointSource, upstream: Upstream): Promise<void> {
    const { signal } = upstream.watching;
    try {
      for await (const endpoints of source.watch(signal)) {
        if (signal.aborted) return;
        upstream.balancer.update(endpoints);
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
    const request = new UpstreamRequest(
      name,
      upstream.balancer,
      this.#pool,
      { headers, endOfStream, response },
      (over) => this.#active.delete(over),
    );
    this.#active.add(request);
    return request;
  }

  #refusal(name: string, upstream: Upstream | undefined): string | undefined {
    if (this.#closed) return "the proxy is shutting down";
    if (upstream === undefined) {
      return name === application ? "the application has no HTTP address; set app.http" : this.#unknown(name).message;
    }
    if (upstream.config.protocol === "http") return undefined;
    return `upstream '${name}' speaks ${upstream.config.protocol}, which the HTTP/1.1 client cannot`;
  }

  #unknown(name: string): RuntimeError {
    const known = this.names.join(", ") || "none";
    const message =
      name === application
        ? "the application has no HTTP address; set app.http"
        : `upstream '${name}' is not configured; configured: ${known}`;
    return new RuntimeError("NOT_FOUND", "UPSTREAM_NOT_FOUND", message);
  }
}

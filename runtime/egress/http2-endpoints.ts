import { EndpointClient } from "../http2/endpoint-client.ts";
import type { HeaderBlock } from "../http2/header-block.ts";
import type { PooledRequest } from "../http2/pooled-request.ts";
import type { Http2Limits, Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import { SectionMemo } from "../proxy/section-memo.ts";
import type { RoundRobin } from "./balancer.ts";
import { type Endpoint, endpointName } from "./endpoint-source.ts";

export interface Http2EndpointsOptions {
  readonly connectTimeoutMs: number;
  readonly limits: Partial<Http2Limits>;
  readonly onReceiverError: (error: unknown) => void;
}

/** The endpoints of one upstream that speaks HTTP/2, each with its connections; requests take turns. */
export class Http2Endpoints implements AsyncDisposable {
  /** Of the heads and trailers that were sent last. */
  readonly sections = new SectionMemo();
  readonly #balancer: RoundRobin;
  readonly #options: Http2EndpointsOptions;
  readonly #clients = new Map<string, EndpointClient>();
  /** Of endpoints that are gone: requests end on them. */
  readonly #leaving = new Set<EndpointClient>();
  /** The clients of the endpoints as the balancer knows them now. */
  readonly #byEndpoint = new WeakMap<Endpoint, EndpointClient>();
  #isClosed = false;

  constructor(balancer: RoundRobin, options: Http2EndpointsOptions) {
    this.#balancer = balancer;
    this.#options = options;
  }

  /** Begins a request at the endpoint whose turn it is; undefined when there is none. Failures reach the receiver later. */
  request(headers: HeaderBlock, endStream: boolean, receiver: StreamReceiver): Http2Stream | undefined {
    const endpoint = this.#isClosed ? undefined : this.#balancer.pick();
    if (endpoint === undefined) return undefined;
    const client = this.#byEndpoint.get(endpoint) ?? this.#clientOf(endpoint);
    return client.request(headers, endStream, receiver);
  }

  /** Requests under way or waiting. */
  get activeRequests(): number {
    let active = 0;
    for (const client of [...this.#clients.values(), ...this.#leaving]) active += client.activeRequests;
    return active;
  }

  /** After `drain`: no request is under way any more, and none begins. */
  get isDrained(): boolean {
    return this.#isClosed && this.activeRequests === 0;
  }

  /** Lets requests to endpoints that are gone end, and their connections close behind them. */
  forgetGone(): void {
    const names = new Set(this.#balancer.endpoints.map(endpointName));
    for (const client of this.#leaving) if (client.activeRequests === 0) this.#leaving.delete(client);
    for (const [name, client] of this.#clients) {
      if (names.has(name)) continue;
      client.drain();
      this.#clients.delete(name);
      this.#leaving.add(client);
    }
  }

  /** Lets all requests end, and the connections close behind them. */
  drain(): void {
    this.#isClosed = true;
    for (const client of this.#clients.values()) client.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const clients = [...this.#clients.values(), ...this.#leaving];
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }

  #clientOf(endpoint: Endpoint): EndpointClient {
    const name = endpointName(endpoint);
    const known = this.#clients.get(name);
    const { connectTimeoutMs, limits, onReceiverError } = this.#options;
    const client =
      known ??
      new EndpointClient({
        address: name,
        connectTimeoutMs,
        limits,
        onReceiverError,
        onUnconnected: (request) => this.#move(endpoint, request),
      });
    this.#clients.set(name, client);
    this.#byEndpoint.set(endpoint, client);
    return client;
  }

  /** Another endpoint takes a request whose endpoint cannot be connected to; false when none is left to try. */
  #move(from: Endpoint, request: PooledRequest): boolean {
    const balancer = this.#balancer;
    balancer.failed(from);
    if (this.#isClosed || request.moves + 1 >= balancer.endpoints.length) return false;
    const endpoint = balancer.pick();
    if (endpoint === undefined || endpoint === from) return false;
    (this.#byEndpoint.get(endpoint) ?? this.#clientOf(endpoint)).adopt(request);
    return true;
  }
}

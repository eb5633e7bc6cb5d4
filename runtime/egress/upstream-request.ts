import type { Http1Client } from "../http1/client.ts";
import type { ClientFault, ResponseReceiver } from "../http1/client-contract.ts";
import type { ClientExchange } from "../http1/client-exchange.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { ChunkedBody } from "../proxy/body-buffer.ts";
import { type Failure, noBytes, type RequestSink, type ResponseSink, type UpstreamFacts } from "../proxy/exchange.ts";
import { HeaderList } from "../proxy/headers.ts";
import { removeHopByHop } from "../proxy/hop-by-hop.ts";
import type { RoundRobin } from "./balancer.ts";
import { type Endpoint, endpointName } from "./endpoint-source.ts";

/** Methods that may be sent a second time when it is not known whether the first arrived. */
const idempotent = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
/** How much of a body waits here for a connection before its source is held back. */
const waitingBytes = 64 * 1024;
const maxStaleRetries = 3;

/**
 * A request to an upstream: takes endpoints in turn until one can be connected to, keeps the body until then, and tries
 * once more when a kept-alive connection turns out to be closed and the request may be repeated.
 */
export class UpstreamRequest implements RequestSink {
  /** Kept by the set that it is in. */
  place = -1;
  readonly facts: UpstreamFacts & { endpoint: string | undefined; localAddress: string | undefined };
  readonly #headers: HeaderList;
  readonly #endOfStream: boolean;
  readonly #response: ResponseSink;
  readonly #balancer: RoundRobin;
  readonly #client: Http1Client;
  readonly #over: (request: UpstreamRequest) => void;
  /** Endpoints that could not be connected to. */
  #tried: Set<Endpoint> | undefined = undefined;
  readonly #waiting = new ChunkedBody();
  #trailers: HeaderList | undefined;
  #ended: boolean;
  #attempt: Attempt | undefined;
  #connected = false;
  #closed = false;
  #paused = false;
  #staleRetries = 0;

  constructor(
    upstream: string,
    balancer: RoundRobin,
    client: Http1Client,
    request: { headers: HeaderList; endOfStream: boolean; response: ResponseSink },
    over: (request: UpstreamRequest) => void,
  ) {
    this.facts = { upstream, endpoint: undefined, localAddress: undefined };
    this.#balancer = balancer;
    this.#client = client;
    this.#headers = request.headers;
    this.#endOfStream = request.endOfStream;
    this.#ended = request.endOfStream;
    this.#response = request.response;
    this.#over = over;
    this.#try();
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#closed || this.#ended) return;
    this.#ended = endOfStream;
    if (!this.#connected) {
      this.#waiting.append(chunk);
      if (this.#waiting.length >= waitingBytes) this.#response.pause();
      return;
    }
    const exchange = this.#attempt?.exchange;
    if (exchange?.write(chunk) === false) this.#response.pause();
    if (endOfStream) exchange?.end([]);
  }

  trailers(trailers: HeaderList): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    if (this.#connected) this.#attempt?.exchange?.end(trailers.flat);
  }

  reset(): void {
    if (this.#closed) return;
    this.#close();
    this.#attempt?.exchange?.cancel();
  }

  /** Ends the exchange with a failure, because the upstreams are closing. */
  abandon(): void {
    if (!this.#closed) this.#fail("lost", "UC", new Error("the proxy is shutting down"));
  }

  pause(): void {
    this.#paused = true;
    this.#attempt?.exchange?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#attempt?.exchange?.resume();
  }

  #try(): void {
    const endpoint = this.#balancer.pick(this.#tried);
    if (endpoint === undefined) {
      this.#noEndpoint();
      return;
    }
    this.#connected = false;
    const name = endpointName(endpoint);
    this.facts.endpoint = name;
    const headers = this.#headers;
    const start = {
      method: headers.get(":method") ?? "GET",
      path: headers.get(":path") ?? "/",
      authority: headers.get(":authority") || (endpoint.path === undefined ? name : "localhost"),
      fields: headers.flat,
      isEmpty: this.#endOfStream,
    };
    const attempt = new Attempt(this, endpoint);
    this.#attempt = attempt;
    const exchange = this.#client.request(name, endpoint, start, attempt);
    attempt.exchange = exchange;
    if (this.#paused) exchange.pause();
    if (exchange.hasBegun) this.connected(attempt);
  }

  /** The attempt has a connection. */
  connected({ endpoint, exchange }: Attempt): void {
    if (exchange === undefined || this.#closed) return;
    this.#balancer.connected(endpoint);
    this.#connected = true;
    this.facts.localAddress = exchange.localAddress;
    if (this.#endOfStream) return;
    let wantsMore = true;
    for (const chunk of this.#waiting.take()) wantsMore = exchange.write(chunk);
    if (this.#ended) exchange.end(this.#trailers?.flat ?? []);
    if (wantsMore) this.#response.resume();
    else this.#response.pause();
  }

  interim(headers: HeaderList): void {
    this.#response.interim?.(headers);
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    if (endOfStream) this.#answered();
    this.#response.head(headers, endOfStream);
  }

  body(chunk: Uint8Array, endOfStream: boolean): void {
    if (endOfStream) this.#answered();
    this.#response.data(chunk, endOfStream);
  }

  bodyEnd(trailers: HeaderList | undefined): void {
    this.#answered();
    if (trailers === undefined) this.#response.data(noBytes, true);
    else this.#response.trailers(trailers);
  }

  drained(): void {
    this.#response.resume();
  }

  failed({ endpoint, exchange }: Attempt, fault: ClientFault, error: Error): void {
    if (this.#closed) return;
    if (fault === "connect") {
      this.#balancer.failed(endpoint);
      this.#tried ??= new Set();
      this.#tried.add(endpoint);
      if (this.#balancer.pick(this.#tried) !== undefined) this.#try();
      else this.#fail(fault, "UF", error);
      return;
    }
    const isReplayable = this.#endOfStream && exchange?.hasWritten === false;
    if (fault === "stale" && isReplayable && idempotent.has(this.#headers.get(":method") ?? "")) {
      this.#staleRetries += 1;
      if (this.#staleRetries <= maxStaleRetries) {
        this.#try();
        return;
      }
    }
    this.#fail(fault, "UC", error);
  }

  #noEndpoint(): void {
    const message = `upstream '${this.facts.upstream}' has no endpoints`;
    queueMicrotask(() => this.#giveUp({ status: 503, details: "no_healthy_upstream", message, flag: "UH" }));
  }

  #fail(fault: ClientFault, flag: "UF" | "UC", error: Error): void {
    const name = `upstream '${this.facts.upstream}'`;
    const told = {
      connect: { status: 503, details: "upstream_connect_failure", message: `cannot connect to ${name}` },
      stale: { status: 503, details: "upstream_reset", message: `${name} closed the connection before it answered` },
      lost: { status: 503, details: "upstream_reset", message: `${name} closed the connection before it answered` },
      malformed: { status: 502, details: "upstream_protocol_error", message: `${name} did not answer in HTTP` },
    }[fault];
    // The cause names addresses, which are the operator's to know: it goes no further than the details.
    const { code } = error as NodeJS.ErrnoException;
    this.#giveUp({ ...told, details: code === undefined ? told.details : `${told.details}{${code}}`, flag });
  }

  #giveUp(failure: Failure): void {
    if (this.#closed) return;
    this.#close();
    this.#attempt?.exchange?.cancel();
    this.#response.reset(failure);
  }

  /** The response is whole; what is left of the request is not needed now. */
  #answered(): void {
    if (!this.#ended) this.#attempt?.exchange?.cancel();
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting.clear();
    this.#over(this);
  }
}

/** One try of a request at one endpoint: shapes what comes back as filters see it. */
class Attempt implements ResponseReceiver {
  readonly endpoint: Endpoint;
  exchange: ClientExchange | undefined;
  readonly #request: UpstreamRequest;

  constructor(request: UpstreamRequest, endpoint: Endpoint) {
    this.#request = request;
    this.endpoint = endpoint;
  }

  connected(): void {
    this.#request.connected(this);
  }

  interim(status: number, fields: string[]): void {
    const headers = HeaderList.adopt([":status", String(status)].concat(fields));
    removeHopByHop(headers);
    this.#request.interim(headers);
  }

  head({ status, fields, hasConnectionFields }: ResponseHead, isEnd: boolean): void {
    const headers = HeaderList.adopt([":status", String(status)].concat(fields));
    if (hasConnectionFields) {
      removeHopByHop(headers);
      headers.settle();
    }
    this.#request.head(headers, isEnd);
  }

  data(chunk: Uint8Array, isLast: boolean): void {
    this.#request.body(chunk, isLast);
  }

  end(trailers: string[]): void {
    this.#request.bodyEnd(trailers.length === 0 ? undefined : HeaderList.adopt(trailers));
  }

  drained(): void {
    this.#request.drained();
  }

  failed(fault: ClientFault, error: Error): void {
    this.#request.failed(this, fault, error);
  }
}

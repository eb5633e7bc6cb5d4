import { ChunkedBody } from "../proxy/body-buffer.ts";
import type { Failure, RequestSink, ResponseSink, UpstreamFacts } from "../proxy/exchange.ts";
import type { HeaderList } from "../proxy/headers.ts";
import type { RoundRobin } from "./balancer.ts";
import { type Endpoint, endpointName } from "./endpoint-source.ts";
import type { Attempt, AttemptFault, Http1Pool } from "./http1.ts";

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
  readonly facts: UpstreamFacts & { endpoint: string | undefined; localAddress: string | undefined };
  readonly #headers: HeaderList;
  readonly #endOfStream: boolean;
  readonly #response: ResponseSink;
  readonly #balancer: RoundRobin;
  readonly #pool: Http1Pool;
  readonly #over: (request: UpstreamRequest) => void;
  readonly #tried = new Set<Endpoint>();
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
    pool: Http1Pool,
    request: { headers: HeaderList; endOfStream: boolean; response: ResponseSink },
    over: (request: UpstreamRequest) => void,
  ) {
    this.facts = { upstream, endpoint: undefined, localAddress: undefined };
    this.#balancer = balancer;
    this.#pool = pool;
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
    if (chunk.length > 0 && this.#attempt?.write(chunk) === false) this.#response.pause();
    if (endOfStream) this.#attempt?.end(undefined);
  }

  trailers(trailers: HeaderList): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    if (this.#connected) this.#attempt?.end(trailers);
  }

  reset(): void {
    if (this.#closed) return;
    this.#close();
    this.#attempt?.cancel();
  }

  /** Ends the exchange with a failure, because the upstreams are closing. */
  abandon(): void {
    if (!this.#closed) this.#fail("lost", "UC", new Error("the proxy is shutting down"));
  }

  pause(): void {
    this.#paused = true;
    this.#attempt?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#attempt?.resume();
  }

  #try(): void {
    const endpoint = this.#balancer.pick(this.#tried);
    if (endpoint === undefined) {
      this.#noEndpoint();
      return;
    }
    this.#connected = false;
    this.facts.endpoint = endpointName(endpoint);
    let attempt: Attempt;
    try {
      attempt = this.#pool.open(endpoint, this.#headers, this.#endOfStream, {
        connected: (localAddress) => this.#ready(endpoint, localAddress),
        head: (headers, endOfStream) => {
          if (endOfStream) this.#answered();
          this.#response.head(headers, endOfStream);
        },
        data: (chunk, endOfStream) => {
          if (endOfStream) this.#answered();
          this.#response.data(chunk, endOfStream);
        },
        trailers: (trailers) => {
          this.#answered();
          this.#response.trailers(trailers);
        },
        drained: () => this.#response.resume(),
        failed: (fault, error) => this.#failed(endpoint, fault, error),
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const failure = {
        status: 500,
        details: "request_not_sendable",
        message: `the request cannot be sent: ${message}`,
      };
      queueMicrotask(() => this.#giveUp(failure));
      return;
    }
    this.#attempt = attempt;
    if (this.#paused) attempt.pause();
    if (this.#endOfStream) attempt.end(undefined);
  }

  #ready(endpoint: Endpoint, localAddress: string): void {
    const attempt = this.#attempt;
    if (attempt === undefined || this.#closed) return;
    this.#balancer.connected(endpoint);
    this.#connected = true;
    this.facts.localAddress = localAddress;
    if (this.#endOfStream) return;
    let wantsMore = true;
    for (const chunk of this.#waiting.take()) wantsMore = attempt.write(chunk);
    if (this.#ended) attempt.end(this.#trailers);
    else if (!attempt.wrote) attempt.flushHead();
    if (wantsMore) this.#response.resume();
    else this.#response.pause();
  }

  #failed(endpoint: Endpoint, fault: AttemptFault, error: Error): void {
    if (this.#closed) return;
    const attempt = this.#attempt;
    if (fault === "connect") {
      this.#balancer.failed(endpoint);
      this.#tried.add(endpoint);
      if (this.#balancer.pick(this.#tried) !== undefined) this.#try();
      else this.#fail(fault, "UF", error);
      return;
    }
    const replayable = this.#endOfStream && attempt?.wrote === false;
    if (fault === "stale" && replayable && idempotent.has(this.#headers.get(":method") ?? "")) {
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

  #fail(fault: AttemptFault, flag: "UF" | "UC", error: Error): void {
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
    this.#attempt?.cancel();
    this.#response.reset(failure);
  }

  /** The response is whole; what is left of the request is not needed now. */
  #answered(): void {
    if (!this.#ended) this.#attempt?.cancel();
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting.clear();
    this.#over(this);
  }
}

/** The two ends of a request that goes through the filters of its upstream, as whoever made it has them. */
import type { Failure, RequestSink, ResponseSink, UpstreamFacts } from "../proxy/exchange.ts";
import type { HeaderList } from "../proxy/headers.ts";
import type { Stream } from "../proxy/stream.ts";

/** Takes the rest of the request for its filters, and knows of the upstream what they have let it come to. */
export class FilteredRequest implements RequestSink {
  readonly facts: UpstreamFacts;
  readonly #filters: RequestSink;
  readonly #answer: FilteredAnswer;

  constructor(filters: RequestSink, answer: FilteredAnswer, facts: UpstreamFacts) {
    this.#filters = filters;
    this.#answer = answer;
    this.facts = facts;
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#filters.data(chunk, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    this.#filters.trailers(trailers);
  }

  reset(): void {
    this.#answer.drop();
    this.#filters.reset();
  }

  pause(): void {
    this.#filters.pause();
  }

  resume(): void {
    this.#filters.resume();
  }
}

/** Takes the response from the filters. One that answers at once is heard when whoever asks has the other end in hands. */
export class FilteredAnswer implements ResponseSink {
  readonly #client: ResponseSink;
  /** What was answered and not passed on; undefined when nothing waits any more. */
  #waiting: (() => void)[] | undefined = [];

  constructor(client: ResponseSink) {
    this.#client = client;
  }

  /** Whoever asks is about to have the other end. */
  begun(): void {
    if (this.#waiting?.length === 0) this.#waiting = undefined;
    else queueMicrotask(() => this.#passOn());
  }

  /** Nothing more of it is wanted. */
  drop(): void {
    if (this.#waiting !== undefined) this.#waiting.length = 0;
  }

  interim(headers: HeaderList): void {
    if (this.#waiting === undefined) this.#client.interim?.(headers);
    else this.#waiting.push(() => this.#client.interim?.(headers));
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    if (this.#waiting === undefined) this.#client.head(headers, endOfStream);
    else this.#waiting.push(() => this.#client.head(headers, endOfStream));
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#waiting === undefined) this.#client.data(chunk, endOfStream);
    else this.#waiting.push(() => this.#client.data(chunk, endOfStream));
  }

  trailers(trailers: HeaderList): void {
    if (this.#waiting === undefined) this.#client.trailers(trailers);
    else this.#waiting.push(() => this.#client.trailers(trailers));
  }

  reset(failure: Failure): void {
    if (this.#waiting === undefined) this.#client.reset(failure);
    else this.#waiting.push(() => this.#client.reset(failure));
  }

  pause(): void {
    this.#client.pause();
  }

  resume(): void {
    this.#client.resume();
  }

  #passOn(): void {
    const waiting = this.#waiting ?? [];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next();
    this.#waiting = undefined;
  }
}

/** What is known of the upstream behind filters: its name at once, the rest when the request has come to it. */
export class FilteredFacts implements UpstreamFacts {
  readonly upstream: string;
  readonly #stream: Stream;

  constructor(upstream: string, stream: Stream) {
    this.upstream = upstream;
    this.#stream = stream;
  }

  get endpoint(): string | undefined {
    return this.#reached?.endpoint;
  }

  get localAddress(): string | undefined {
    return this.#reached?.localAddress;
  }

  get #reached(): UpstreamFacts | undefined {
    const { upstream } = this.#stream;
    return upstream === this ? undefined : upstream;
  }
}

/** The four ends of a filter chain, as objects that each stream makes: they only pass on to the chain what they are told. */
import type { Failure, RequestSink, ResponseSink } from "./exchange.ts";
import type { HeaderList } from "./headers.ts";
import type { OutletTarget } from "./outlet.ts";

/** What a chain does with what comes in at one of its ends, and with what leaves its filters. */
export interface EndedChain {
  requestData(chunk: Uint8Array, endOfStream: boolean): void;
  requestTrailers(trailers: HeaderList): void;
  clientGone(): void;
  clientSlow(): void;
  clientReady(): void;
  responseInterim(headers: HeaderList): void;
  responseHead(headers: HeaderList, endOfStream: boolean): void;
  responseData(chunk: Uint8Array, endOfStream: boolean): void;
  responseTrailers(trailers: HeaderList): void;
  targetFailed(failure: Failure): void;
  targetSlow(): void;
  targetReady(): void;
  sendRequestHead(headers: HeaderList, endOfStream: boolean): void;
  sendRequestData(chunk: Uint8Array, endOfStream: boolean): void;
  sendRequestTrailers(trailers: HeaderList): void;
  requestMismatched(): void;
  holdTarget(): void;
  releaseTarget(): void;
  sendResponseHead(headers: HeaderList, endOfStream: boolean): void;
  sendResponseData(chunk: Uint8Array, endOfStream: boolean): void;
  sendResponseTrailers(trailers: HeaderList): void;
  responseMismatched(): void;
}

/** What the listener pushes the rest of the request into. */
export class FromClient implements RequestSink {
  readonly #chain: EndedChain;

  constructor(chain: EndedChain) {
    this.#chain = chain;
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#chain.requestData(chunk, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    this.#chain.requestTrailers(trailers);
  }

  reset(): void {
    this.#chain.clientGone();
  }

  pause(): void {
    this.#chain.clientSlow();
  }

  resume(): void {
    this.#chain.clientReady();
  }
}

/** What the target pushes its response into. */
export class FromTarget implements ResponseSink {
  readonly #chain: EndedChain;

  constructor(chain: EndedChain) {
    this.#chain = chain;
  }

  interim(headers: HeaderList): void {
    this.#chain.responseInterim(headers);
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    this.#chain.responseHead(headers, endOfStream);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#chain.responseData(chunk, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    this.#chain.responseTrailers(trailers);
  }

  reset(failure: Failure): void {
    this.#chain.targetFailed(failure);
  }

  pause(): void {
    this.#chain.targetSlow();
  }

  resume(): void {
    this.#chain.targetReady();
  }
}

/** Where the request leaves the last filter; held back, the target is. */
export class ToTarget implements OutletTarget {
  readonly #chain: EndedChain;

  constructor(chain: EndedChain) {
    this.#chain = chain;
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    this.#chain.sendRequestHead(headers, endOfStream);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#chain.sendRequestData(chunk, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    this.#chain.sendRequestTrailers(trailers);
  }

  mismatched(): void {
    this.#chain.requestMismatched();
  }

  pause(): void {
    this.#chain.holdTarget();
  }

  resume(): void {
    this.#chain.releaseTarget();
  }
}

/** Where the response leaves the first filter. */
export class ToClient implements OutletTarget {
  readonly #chain: EndedChain;

  constructor(chain: EndedChain) {
    this.#chain = chain;
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    this.#chain.sendResponseHead(headers, endOfStream);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#chain.sendResponseData(chunk, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    this.#chain.sendResponseTrailers(trailers);
  }

  mismatched(): void {
    this.#chain.responseMismatched();
  }
}

import type { RequestReceiver, Response } from "../http1/server-contract.ts";
import {
  type ConnectionFacts,
  type Failure,
  noBytes,
  type RequestSink,
  type ResponseSink,
  type Serve,
} from "../proxy/exchange.ts";
import { HeaderList, statusOf } from "../proxy/headers.ts";

/** The response to a request that came by HTTP/1.1, pushed on to its connection. */
export class Http1Exchange implements ResponseSink {
  readonly #response: Response;
  #sink: RequestSink | undefined;
  #isSlow = false;

  constructor(response: Response) {
    this.#response = response;
  }

  /** Begins the exchange; the result takes the rest of the request. */
  begin(serve: Serve, connection: ConnectionFacts, headers: HeaderList, endOfStream: boolean): RequestReceiver {
    const sink = serve(connection, headers, endOfStream, this);
    this.#sink = sink;
    if (this.#isSlow) sink.pause();
    return new Http1Request(sink);
  }

  interim(headers: HeaderList): void {
    this.#response.interim(Number(headers.get(":status")), headers.flat);
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    this.#response.head(statusOf(headers) ?? 500, headers.flat, endOfStream);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#response.data(chunk, endOfStream)) return;
    this.#isSlow = true;
    this.#sink?.pause();
  }

  trailers(trailers: HeaderList): void {
    this.#response.trailers(trailers.flat);
  }

  reset(_failure: Failure): void {
    this.#response.abort();
  }

  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }
}

/** The rest of a request, pushed on to whoever takes it. */
class Http1Request implements RequestReceiver {
  readonly #sink: RequestSink;

  constructor(sink: RequestSink) {
    this.#sink = sink;
  }

  data(chunk: Uint8Array, isLast: boolean): void {
    this.#sink.data(chunk, isLast);
  }

  end(trailers: string[]): void {
    if (trailers.length > 0) this.#sink.trailers(HeaderList.adopt(trailers));
    else this.#sink.data(noBytes, true);
  }

  gone(): void {
    this.#sink.reset();
  }

  drained(): void {
    this.#sink.resume();
  }
}

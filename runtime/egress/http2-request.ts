import { errorCode } from "../http2/error-code.ts";
import type { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Stream, StreamFault, StreamReceiver } from "../http2/stream-contract.ts";
import { type Failure, noBytes, type RequestSink, type ResponseSink, type UpstreamFacts } from "../proxy/exchange.ts";
import type { HeaderList } from "../proxy/headers.ts";
import { isInterim, isOrderlyEnd, listOf, requestBlock, trailerBlock } from "../proxy/http2-sections.ts";
import type { SectionMemo } from "../proxy/section-memo.ts";
import type { Http2Endpoints } from "./http2-endpoints.ts";
import { noEndpoint, upstreamFailure } from "./http2-failures.ts";

/** The request of an exchange on its way to an upstream that speaks HTTP/2. */
export class Http2Request implements RequestSink {
  /** Kept by the set that it is in. */
  place = -1;
  readonly facts: UpstreamFacts;
  readonly #upstream: string;
  readonly #response: ResponseSink;
  readonly #over: (request: Http2Request) => void;
  readonly #stream: Http2Stream | undefined;
  readonly #sections: SectionMemo;
  readonly #isHeadOnly: boolean;
  #hasHead = false;
  #isClosed = false;

  constructor(
    upstream: string,
    endpoints: Http2Endpoints,
    request: { headers: HeaderList; endOfStream: boolean; response: ResponseSink },
    over: (request: Http2Request) => void,
  ) {
    const { headers, endOfStream, response } = request;
    this.#upstream = upstream;
    this.#response = response;
    this.#over = over;
    this.#isHeadOnly = headers.get(":method") === "HEAD";
    const stream = endpoints.request(
      requestBlock(headers, endOfStream, endpoints.sections, upstream),
      endOfStream,
      new Answer(this),
    );
    this.#sections = endpoints.sections;
    this.#stream = stream;
    this.facts = new StreamFacts(upstream, stream);
    if (stream === undefined) queueMicrotask(() => this.#giveUp(noEndpoint(upstream)));
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#isClosed || this.#stream === undefined) return;
    if (!this.#stream.sendData(chunk, 0, chunk.length, endOfStream)) this.#response.pause();
  }

  trailers(trailers: HeaderList): void {
    if (!this.#isClosed) this.#stream?.sendHeaders(trailerBlock(trailers, this.#sections), true);
  }

  reset(): void {
    if (this.#isClosed) return;
    this.#close();
    this.#stream?.reset(errorCode.CANCEL);
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** Ends the exchange with a failure, because the upstreams are closing. */
  abandon(): void {
    if (this.#isClosed) return;
    this.#stream?.reset(errorCode.CANCEL);
    const message = "the proxy is shutting down";
    this.#giveUp({ status: 503, details: "upstream_reset", message, flag: "UC" });
  }

  head(block: HeaderBlock, endStream: boolean): void {
    if (isInterim(block)) {
      // The expectation of a client is answered where it came in.
      if (block.get(":status") !== "100") this.#response.interim?.(listOf(block));
      return;
    }
    this.#hasHead = true;
    const ends = endStream || this.#isHeadOnly;
    if (endStream) this.#answered();
    this.#response.head(listOf(block), ends);
    if (ends && !endStream) this.reset();
  }

  body(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    if (endStream) this.#answered();
    this.#response.data(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), endStream);
  }

  end(block: HeaderBlock): void {
    this.#answered();
    this.#response.trailers(listOf(block));
  }

  fault(fault: StreamFault): void {
    if (this.#hasHead && isOrderlyEnd(fault)) this.body(noBytes, 0, 0, true);
    else this.#giveUp(upstreamFailure(this.#upstream, fault));
  }

  drained(): void {
    this.#response.resume();
  }

  #giveUp(failure: Failure): void {
    if (this.#isClosed) return;
    this.#close();
    this.#response.reset(failure);
  }

  /** The response is whole; what is left of the request is not needed now. */
  #answered(): void {
    this.#close();
    if (this.#stream?.isSent === false) this.#stream.reset(errorCode.NO_ERROR);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#over(this);
  }
}

/** Hears the response. */
class Answer implements StreamReceiver {
  readonly #request: Http2Request;

  constructor(request: Http2Request) {
    this.#request = request;
  }

  headers(block: HeaderBlock, endStream: boolean): void {
    this.#request.head(block, endStream);
  }

  data(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    this.#request.body(bytes, start, end, endStream);
  }

  trailers(block: HeaderBlock): void {
    this.#request.end(block);
  }

  fault(fault: StreamFault): void {
    this.#request.fault(fault);
  }

  drained(): void {
    this.#request.drained();
  }
}

/** What is known of the connection of a request, as far as it has one. */
class StreamFacts implements UpstreamFacts {
  readonly upstream: string;
  readonly #stream: Http2Stream | undefined;

  constructor(upstream: string, stream: Http2Stream | undefined) {
    this.upstream = upstream;
    this.#stream = stream;
  }

  get endpoint(): string | undefined {
    return this.#stream?.connection.remoteAddress || undefined;
  }

  get localAddress(): string | undefined {
    return this.#stream?.connection.localAddress || undefined;
  }
}

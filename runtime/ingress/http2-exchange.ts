import { errorCode } from "../http2/error-code.ts";
import { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Stream, StreamFault, StreamReceiver } from "../http2/stream-contract.ts";
import type { Failure, RequestSink, ResponseSink } from "../proxy/exchange.ts";
import { type HeaderList, statusOf } from "../proxy/headers.ts";
import { listOf, responseBlock, trailerBlock } from "../proxy/http2-sections.ts";
import { grpcMessage } from "../proxy/local-reply.ts";
import type { Http2Head } from "./http2-head.ts";

/** What is taken, and dropped, of a request whose answer came before its end. */
const droppedBytes = 64 * 1024;

/** One stream of a client as an exchange. It takes the response; it hears the client through a `ClientReceiver`. */
export class Http2Exchange implements ResponseSink {
  readonly #stream: Http2Stream;
  readonly #head: Http2Head;
  readonly #answered: (stream: Http2Stream) => void;
  #sink: RequestSink | undefined;
  #hasHead = false;
  #isOver = false;
  /** The client has not taken all that was sent. */
  #clientWaits = false;
  #droppedBytes = 0;

  /** `answered` is called when the response is whole, though the stream may still be open. */
  constructor(stream: Http2Stream, head: Http2Head, answered: (stream: Http2Stream) => void) {
    this.#stream = stream;
    this.#head = head;
    this.#answered = answered;
  }

  /** Begins the exchange; the result hears the rest of the request. */
  begin(serve: (response: ResponseSink) => RequestSink): StreamReceiver {
    this.#sink = serve(this);
    return new ClientReceiver(this);
  }

  interim(headers: HeaderList): void {
    if (this.#isOver || this.#hasHead) return;
    this.#stream.sendHeaders(responseBlock(headers, false, this.#head.connection.sections), false);
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    if (this.#isOver || this.#hasHead) return;
    this.#hasHead = true;
    const isBodiless = this.#head.method === "HEAD" || statusOf(headers) === 304;
    this.#stream.sendHeaders(
      responseBlock(headers, endOfStream && !isBodiless, this.#head.connection.sections),
      endOfStream,
    );
    if (endOfStream) this.#end();
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#isOver) return;
    if (!this.#stream.sendData(chunk, 0, chunk.length, endOfStream)) {
      this.#clientWaits = true;
      this.#sink?.pause();
    }
    if (endOfStream) this.#end();
  }

  trailers(trailers: HeaderList): void {
    if (this.#isOver) return;
    this.#stream.sendHeaders(trailerBlock(trailers, this.#head.connection.sections), true);
    this.#end();
  }

  reset(failure: Failure): void {
    if (this.#isOver) return;
    if (this.#hasHead && this.#head.isGrpc) {
      const message = grpcMessage(failure.message);
      this.#stream.sendHeaders(HeaderBlock.of("grpc-status", "14", "grpc-message", message), true);
      this.#end();
      return;
    }
    this.#isOver = true;
    this.#stream.reset(errorCode.INTERNAL_ERROR);
  }

  pause(): void {
    if (!this.#isOver) this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  received(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#isOver) {
      this.#drop(end - start);
      return;
    }
    this.#sink?.data(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), endStream);
  }

  receivedTrailers(block: HeaderBlock): void {
    if (!this.#isOver) this.#sink?.trailers(listOf(block));
  }

  gone(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink?.reset();
  }

  drained(): void {
    this.#clientWaits = false;
    if (this.#isOver) this.#stream.resume();
    else this.#sink?.resume();
  }

  /** What comes of the request after its answer. A reset would take the answer away from a client that has not read it. */
  #drop(length: number): void {
    this.#droppedBytes += length;
    if (this.#droppedBytes <= droppedBytes) return;
    if (this.#clientWaits) this.#stream.pause();
    else this.#stream.reset(errorCode.NO_ERROR);
  }

  #end(): void {
    this.#isOver = true;
    // What comes of the request until the client has the answer is dropped.
    if (!this.#stream.isReceived) this.#stream.resume();
    this.#answered(this.#stream);
  }
}

class ClientReceiver implements StreamReceiver {
  readonly #exchange: Http2Exchange;

  constructor(exchange: Http2Exchange) {
    this.#exchange = exchange;
  }

  /** Never called: the head of the request began it. */
  headers(): void {
    throw new Error("a request has one head");
  }

  data(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    this.#exchange.received(bytes, start, end, endStream);
  }

  trailers(block: HeaderBlock): void {
    this.#exchange.receivedTrailers(block);
  }

  fault(_fault: StreamFault): void {
    this.#exchange.gone();
  }

  drained(): void {
    this.#exchange.drained();
  }
}

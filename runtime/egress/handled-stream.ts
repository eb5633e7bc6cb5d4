import { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Connection, Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import type { Failure, Handler, RequestSink, ResponseSink } from "../proxy/exchange.ts";
import type { Http2Requester } from "../proxy/forwarding.ts";
import type { HeaderList } from "../proxy/headers.ts";
import { listOf, responseBlock, trailerBlock } from "../proxy/http2-sections.ts";
import { formLocalReply, grpcMessage, replyTo } from "../proxy/local-reply.ts";
import { SectionMemo } from "../proxy/section-memo.ts";

const prefixBytes = 5;

/** Calls of gRPC to a handler, for those who know streams of HTTP/2 only. A failure is told in gRPC. */
export class HandlerRequester implements Http2Requester {
  readonly #handler: Handler;

  constructor(handler: Handler) {
    this.#handler = handler;
  }

  request(head: HeaderBlock, endStream: boolean, receiver: StreamReceiver): Http2Stream {
    const stream = new HandledStream(listOf(head), endStream, receiver);
    stream.begin(this.#handler);
    return stream;
  }
}

/** A request to a handler as a stream of HTTP/2 that is no connection's. */
class HandledStream implements Http2Stream {
  readonly id = 0;
  readonly connection: Http2Connection;
  readonly #head: HeaderList;
  readonly #answer: Answer;
  #sink: RequestSink | undefined;
  #isSent: boolean;

  constructor(head: HeaderList, endStream: boolean, receiver: StreamReceiver) {
    this.#head = head;
    this.#isSent = endStream;
    this.#answer = new Answer(head, receiver);
    this.connection = new HandledConnection(() => this.#sink?.facts);
  }

  begin(handler: Handler): void {
    this.#sink = handler(this.#head, this.#isSent, this.#answer);
  }

  get isOpen(): boolean {
    return !(this.#isSent && this.#answer.isOver);
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  get isReceived(): boolean {
    return this.#answer.isOver;
  }

  sendHeaders(trailers: HeaderBlock, endStream: boolean): void {
    if (this.#isSent || !endStream) return;
    this.#isSent = true;
    this.#sink?.trailers(listOf(trailers));
  }

  sendData(bytes: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    if (this.#isSent) return true;
    this.#isSent = endStream;
    this.#sink?.data(bytes.subarray(start, end), endStream);
    return !this.#answer.holdsRequest;
  }

  sendMessage(flag: number, message: Uint8Array, endStream: boolean): boolean {
    const framed = Buffer.allocUnsafe(prefixBytes + message.length);
    framed.writeUInt8(flag, 0);
    framed.writeUInt32BE(message.length, 1);
    framed.set(message, prefixBytes);
    return this.sendData(framed, 0, framed.length, endStream);
  }

  reset(_code: number): void {
    this.#isSent = true;
    this.#answer.isOver = true;
    this.#sink?.reset();
  }

  pause(): void {
    this.#sink?.pause();
  }

  resume(): void {
    this.#sink?.resume();
  }
}

/** Tells a receiver of the response. */
class Answer implements ResponseSink {
  readonly #request: HeaderList;
  readonly #receiver: StreamReceiver;
  readonly #sections = new SectionMemo();
  #hasHead = false;
  isOver = false;
  /** Whoever sends the request was asked to wait. */
  holdsRequest = false;

  constructor(request: HeaderList, receiver: StreamReceiver) {
    this.#request = request;
    this.#receiver = receiver;
  }

  interim(headers: HeaderList): void {
    if (!this.isOver) this.#receiver.headers(responseBlock(headers, false, this.#sections), false);
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    if (this.isOver) return;
    this.#hasHead = true;
    this.isOver = endOfStream;
    this.#receiver.headers(responseBlock(headers, endOfStream, this.#sections), endOfStream);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.isOver) return;
    this.isOver = endOfStream;
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#receiver.data(bytes, 0, bytes.length, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#receiver.trailers(trailerBlock(trailers, this.#sections));
  }

  reset(failure: Failure): void {
    if (this.isOver) return;
    if (!this.#hasHead) {
      this.head(formLocalReply(this.#request, replyTo(failure)).head, true);
      return;
    }
    this.isOver = true;
    this.#receiver.trailers(HeaderBlock.of("grpc-status", "14", "grpc-message", grpcMessage(failure.message)));
  }

  pause(): void {
    this.holdsRequest = true;
  }

  resume(): void {
    if (!this.holdsRequest) return;
    this.holdsRequest = false;
    if (!this.isOver) this.#receiver.drained();
  }
}

/** What there is in place of a connection: the handler looks after its own. */
class HandledConnection implements Http2Connection {
  readonly activeStreams = 1;
  readonly isClosed = false;
  readonly #facts: () => RequestSink["facts"];

  constructor(facts: () => RequestSink["facts"]) {
    this.#facts = facts;
  }

  get remoteAddress(): string {
    return this.#facts()?.endpoint ?? "";
  }

  get localAddress(): string {
    return this.#facts()?.localAddress ?? "";
  }

  suspect(): void {}

  drain(): void {}

  close(): void {}
}

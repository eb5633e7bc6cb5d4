import { errorCode } from "./error-code.ts";
import type { HeaderBlock } from "./header-block.ts";
import type {
  Http2ClientConnection,
  Http2Connection,
  Http2Stream,
  StreamFault,
  StreamReceiver,
} from "./stream-contract.ts";

/** Where a request waits for a connection. */
export interface RequestQueue {
  /** What a request tells for its connection before it has one. */
  readonly unconnected: Http2Connection;
  /** Sends a request again that was certainly not processed; it tells the request of its failure when it cannot. */
  retry(request: PooledRequest, fault: StreamFault): void;
  /** The request is not wanted any more. */
  forget(request: PooledRequest): void;
}

/** What may be kept of a request's content to send it again. */
const maxReplayBytes = 64 * 1024;
/** Marks content that is not one whole message of gRPC. */
const plain = -1;

/** A piece of the request, kept until the peer has begun to answer or it cannot be sent again anyway. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** The flag of a gRPC message, or `plain`. */
  readonly flag: number;
  readonly trailers: HeaderBlock | undefined;
  readonly endStream: boolean;
}

const nothing = new Uint8Array(0);

/**
 * A request that may be written before it has a connection, and is sent again once when its connection certainly did not
 * process it. It stands between the stream and both sides: the owner's handle and the stream's receiver in one object.
 */
export class PooledRequest implements Http2Stream, StreamReceiver {
  #queue: RequestQueue;
  readonly #headers: HeaderBlock;
  readonly #endsWithHeaders: boolean;
  readonly #receiver: StreamReceiver;
  #stream: Http2Stream | undefined = undefined;
  /** What has been written; undefined once it is not kept any more. */
  #pieces: Piece[] | undefined = undefined;
  #keptBytes = 0;
  #isReplayable = true;
  #isRetry = false;
  #isOver = false;
  #isSent: boolean;
  #isPaused = false;
  /** The owner was told to hold back while there was no connection. */
  #owesDrained = false;
  /** How often it went on to another queue. */
  moves = 0;

  constructor(queue: RequestQueue, headers: HeaderBlock, endStream: boolean, receiver: StreamReceiver) {
    this.#queue = queue;
    this.#headers = headers;
    this.#endsWithHeaders = endStream;
    this.#receiver = receiver;
    this.#isSent = endStream;
  }

  get id(): number {
    return this.#stream?.id ?? 0;
  }

  get connection(): Http2Connection {
    return this.#stream?.connection ?? this.#queue.unconnected;
  }

  get isOpen(): boolean {
    return !this.#isOver && (this.#stream === undefined || this.#stream.isOpen);
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  get isReceived(): boolean {
    return this.#stream?.isReceived ?? false;
  }

  /** It has been sent a second time already, or what was sent is not known any more. */
  get isRetryable(): boolean {
    return this.#isReplayable && !this.#isRetry && !this.#isOver;
  }

  /** It waits, and all that was written is kept. */
  get isUnsent(): boolean {
    return this.#stream === undefined && this.#isReplayable && !this.#isOver;
  }

  /** It waits in another queue from now on. */
  moveTo(queue: RequestQueue): void {
    this.#queue = queue;
    this.moves += 1;
  }

  sendHeaders(block: HeaderBlock, endStream: boolean): void {
    if (this.#isOver || this.#isSent) return;
    this.#isSent = endStream;
    this.#keep({ bytes: nothing, start: 0, end: 0, flag: plain, trailers: block, endStream });
    this.#stream?.sendHeaders(block, endStream);
  }

  sendData(bytes: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    if (this.#isOver || this.#isSent) return true;
    this.#isSent = endStream;
    this.#keep({ bytes, start, end, flag: plain, trailers: undefined, endStream });
    if (this.#stream !== undefined) return this.#stream.sendData(bytes, start, end, endStream);
    return this.#holdBack();
  }

  sendMessage(flag: number, message: Uint8Array, endStream: boolean): boolean {
    if (this.#isOver || this.#isSent) return true;
    this.#isSent = endStream;
    this.#keep({ bytes: message, start: 0, end: message.length, flag, trailers: undefined, endStream });
    if (this.#stream !== undefined) return this.#stream.sendMessage(flag, message, endStream);
    return this.#holdBack();
  }

  reset(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#release();
    if (this.#stream === undefined) this.#queue.forget(this);
    else this.#stream.reset(code);
  }

  pause(): void {
    this.#isPaused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#stream?.resume();
  }

  /** Begins the stream on a connection that can take it, and sends what has been written so far. */
  attach(connection: Http2ClientConnection): void {
    const stream = connection.request(this.#headers, this.#endsWithHeaders, this);
    this.#stream = stream;
    if (this.#isPaused) stream.pause();
    let wantsMore = true;
    for (const piece of this.#pieces ?? []) wantsMore = send(stream, piece);
    if (this.#keptBytes > maxReplayBytes) this.#release();
    if (!this.#owesDrained || !wantsMore) return;
    this.#owesDrained = false;
    this.#receiver.drained();
  }

  /** The last that the owner hears. */
  fail(fault: StreamFault): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#release();
    this.#receiver.fault(fault);
  }

  headers(block: HeaderBlock, endStream: boolean): void {
    this.#release();
    this.#receiver.headers(block, endStream);
  }

  data(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    this.#receiver.data(bytes, start, end, endStream);
  }

  trailers(block: HeaderBlock): void {
    this.#receiver.trailers(block);
  }

  fault(fault: StreamFault): void {
    if (this.#isOver) return;
    if (!fault.unprocessed || !this.isRetryable) {
      this.fail(fault);
      return;
    }
    this.#isRetry = true;
    this.#stream = undefined;
    this.#queue.retry(this, fault);
  }

  drained(): void {
    this.#owesDrained = false;
    this.#receiver.drained();
  }

  /** Without a stream everything is kept, since nothing has been sent; the owner is held back meanwhile. */
  #keep(piece: Piece): void {
    if (!this.#isReplayable) return;
    this.#keptBytes += piece.end - piece.start;
    if (this.#stream !== undefined && this.#keptBytes > maxReplayBytes) this.#release();
    else if (this.#pieces === undefined) this.#pieces = [piece];
    else this.#pieces.push(piece);
  }

  #holdBack(): false {
    this.#owesDrained = true;
    return false;
  }

  #release(): void {
    this.#isReplayable = false;
    this.#pieces = undefined;
  }
}

function send(stream: Http2Stream, { bytes, start, end, flag, trailers, endStream }: Piece): boolean {
  if (trailers !== undefined) stream.sendHeaders(trailers, endStream);
  else if (flag === plain) return stream.sendData(bytes, start, end, endStream);
  else return stream.sendMessage(flag, bytes, endStream);
  return true;
}

/** What a request is told when there is no connection for it. */
export const unconnectedFault = (message: string): StreamFault => ({
  code: errorCode.CONNECT_ERROR,
  origin: "connect",
  unprocessed: true,
  message,
});

import { errorCode } from "../http2/error-code.ts";
import type { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Stream, StreamFault, StreamReceiver } from "../http2/stream-contract.ts";
import { AnswerSection } from "./answer-section.ts";
import { type CallStatus, localStatus, statusIn, statusOfFault, statusOfHttp } from "./call-status.ts";
import { decompress } from "./compression.ts";
import type { Deadline, Deadlines, Expiring } from "./deadlines.ts";
import { MessageReader, type MessageSink } from "./message-reader.ts";
import { asRuntimeError, statusCodeOf } from "./status.ts";
import { statusCode } from "./status-code.ts";

const noBytes = new Uint8Array(0);
const timerSlackMs = 10;

/** What is told of a call, in order. */
export interface CallReceiver {
  /** The metadata at the beginning of the answer; not called when the answer is nothing but a status. */
  head(section: AnswerSection): void;
  /** One message, which may be kept. */
  message(bytes: Buffer): void;
  /** After a `send` that returned false: more is wanted. */
  drained(): void;
  /** The last call. */
  ended(status: CallStatus): void;
}

/** Where a call goes and how long it may take. */
export interface CallTarget {
  readonly address: string;
  readonly path: string;
  readonly maxMessageBytes: number;
  readonly deadlines: Deadlines;
  /** Undefined: without end. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

interface Compressed {
  readonly flag: number;
  readonly bytes: Buffer;
}

/** One call of gRPC over HTTP/2, of any shape: messages out, messages in, a status. bench:grpc-client keeps it honest. */
export class ClientCall implements StreamReceiver, MessageSink, Expiring, EventListenerObject {
  readonly #target: CallTarget;
  readonly #receiver: CallReceiver;
  readonly #reader: MessageReader;
  #stream: Http2Stream | undefined;
  #deadline: Deadline | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #head: AnswerSection | undefined;
  #isOver = false;
  #isPaused = false;
  /** What was sent last waits for the peer's window. */
  #isHeldBack = false;
  /** Messages behind one that is being decompressed, itself the first. */
  #backlog: Compressed[] | undefined;
  /** The end that waits behind the backlog. */
  #end: CallStatus | undefined;

  constructor(target: CallTarget, receiver: CallReceiver) {
    this.#target = target;
    this.#receiver = receiver;
    this.#reader = new MessageReader(target.maxMessageBytes, this);
  }

  /** Binds the stream that carries the call; its time begins. */
  begin(stream: Http2Stream): void {
    this.#stream = stream;
    if (this.#isOver) return;
    const { deadlines, timeoutMs, signal } = this.#target;
    if (timeoutMs !== undefined) {
      const now = performance.now();
      this.#dueAtMs = now + timeoutMs;
      this.#deadline = deadlines.keep(this, timeoutMs, now);
    }
    signal?.addEventListener("abort", this, { once: true });
  }

  /** Sends a message; false when the source should wait for `drained`. One larger than allowed ends the call. */
  send(message: Uint8Array, isLast: boolean): boolean {
    if (this.#isOver || this.#stream === undefined) return true;
    const { maxMessageBytes, path } = this.#target;
    if (message.length <= maxMessageBytes) {
      this.#isHeldBack = !this.#stream.sendMessage(0, message, isLast);
      return !this.#isHeldBack;
    }
    const text = `a message to ${path} takes ${message.length} bytes, which is larger than max (${maxMessageBytes})`;
    this.breakOff(localStatus(statusCode.RESOURCE_EXHAUSTED, `${text}; raise api.maxMessageBytes`));
    return true;
  }

  /** No more messages come from this side. */
  end(): void {
    if (!this.#isOver) this.#stream?.sendData(noBytes, 0, 0, true);
  }

  /** Ends the call with CANCELLED; the peer gets RST_STREAM. */
  cancel(): void {
    this.breakOff(localStatus(statusCode.CANCELLED, `the call of ${this.#target.path} was cancelled`));
  }

  /** Ends the call with a status of this side; the peer gets RST_STREAM. */
  breakOff(status: CallStatus): void {
    if (this.#isOver) return;
    this.#stream?.reset(errorCode.CANCEL);
    this.#finish(status);
  }

  /** Holds the peer back: at most a window of messages still comes. */
  pause(): void {
    this.#isPaused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#backlog === undefined) this.#stream?.resume();
  }

  /** The signal has aborted. */
  handleEvent(): void {
    this.cancel();
  }

  expire(): void {
    this.#deadline = undefined;
    this.#stream?.connection.suspect(this.#dueAtMs - (this.#target.timeoutMs ?? 0));
    this.breakOff(this.#late());
  }

  headers(block: HeaderBlock, endStream: boolean): void {
    const head = AnswerSection.of(block);
    if (head.httpStatus < 200) return;
    const { address } = this.#target;
    const refused = statusOfHttp(head, address);
    if (refused !== undefined) {
      // What follows is no message: the body of an error page.
      if (endStream) this.#finish(refused);
      else this.breakOff(refused);
      return;
    }
    if (endStream) {
      this.#finish(statusIn(head, address));
      return;
    }
    this.#head = head;
    this.#receiver.head(head);
  }

  data(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#isOver) return;
    try {
      this.#reader.push(bytes, start, end);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (endStream && !this.#isOver) {
      const message = `${this.#target.address} ended its answer without a gRPC status`;
      this.#endBehind(localStatus(statusCode.INTERNAL, message));
    }
  }

  message(flag: number, bytes: Buffer, start: number, end: number): boolean {
    const message = bytes.subarray(start, end);
    if (this.#backlog !== undefined) this.#backlog.push({ flag, bytes: message });
    else if (flag === 0) this.#receiver.message(message);
    else {
      this.#backlog = [{ flag, bytes: message }];
      this.#stream?.pause();
      void this.#decompress(this.#backlog);
    }
    return !this.#isOver;
  }

  trailers(block: HeaderBlock): void {
    if (this.#isOver) return;
    const status = statusIn(AnswerSection.of(block), this.#target.address);
    const isCut = status.code === statusCode.OK && this.#reader.isAmid;
    const message = `${this.#target.address} ended its answer in the middle of a message`;
    this.#endBehind(isCut ? localStatus(statusCode.INTERNAL, message) : status);
  }

  fault(fault: StreamFault): void {
    const { code, origin } = fault;
    // The peer's timer may run ahead of ours.
    const isLate = origin === "peer" && code === errorCode.CANCEL && performance.now() + timerSlackMs >= this.#dueAtMs;
    this.#finish(isLate ? this.#late() : statusOfFault(fault, this.#target.address));
  }

  drained(): void {
    this.#isHeldBack = false;
    if (!this.#isOver) this.#receiver.drained();
  }

  #late(): CallStatus {
    const { address, path, timeoutMs } = this.#target;
    const text = `the deadline has passed: ${address} did not answer ${path} within ${Math.ceil(timeoutMs ?? 0)} ms`;
    return localStatus(statusCode.DEADLINE_EXCEEDED, text);
  }

  async #decompress(backlog: Compressed[]): Promise<void> {
    const encoding = this.#head?.encoding ?? "identity";
    try {
      for (let first = backlog[0]; first !== undefined && !this.#isOver; first = backlog[0]) {
        const { flag, bytes } = first;
        const message = flag === 0 ? bytes : await decompress(bytes, encoding, this.#target.maxMessageBytes);
        backlog.shift();
        if (!this.#isOver) this.#receiver.message(message);
      }
    } catch (error) {
      this.#refuse(error);
      return;
    }
    this.#backlog = undefined;
    if (this.#end !== undefined) this.#finish(this.#end);
    else if (!this.#isPaused) this.#stream?.resume();
  }

  #refuse(error: unknown): void {
    const { code, message } = asRuntimeError(error);
    this.breakOff(localStatus(statusCodeOf(code), message));
  }

  #endBehind(status: CallStatus): void {
    if (this.#backlog === undefined) this.#finish(status);
    else this.#end = status;
  }

  #finish(status: CallStatus): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { deadlines, signal } = this.#target;
    if (this.#deadline !== undefined) deadlines.drop(this.#deadline);
    signal?.removeEventListener("abort", this);
    // An answer may come before the request has ended; nobody reads the rest of it.
    const stream = this.#stream;
    if (stream !== undefined && (this.#isHeldBack || !stream.isSent)) stream.reset(errorCode.CANCEL);
    this.#receiver.ended(status);
  }
}

import { initialWindow } from "./frame.ts";
import type { HeaderBlock } from "./header-block.ts";
import type { Outflow } from "./outflow.ts";
import type { SendQueue } from "./send-queue.ts";
import type { Http2Connection, Http2Stream, StreamReceiver } from "./stream-contract.ts";

/** What a stream asks of its connection. */
export interface StreamHost extends Http2Connection {
  readonly outflow: Outflow;
  resetByOwner(stream: Stream, code: number): void;
  /** Gives back to the peer what was withheld of the stream. */
  creditStream(stream: Stream): void;
}

/** A stream and the state that its connection keeps of it; the public face is Http2Stream. */
export class Stream implements Http2Stream {
  readonly id: number;
  readonly connection: StreamHost;
  receiver: StreamReceiver;
  isOpen = true;
  isSent = false;
  isReceived = false;
  /** A head that is not interim has come; on a server always. */
  hasHead = false;
  /** Octets of the body that content-length announced and that have not come; -1 without it. */
  expectedBytes = -1;
  /** What the peer lets us send; negative after it shrank its window (RFC 9113, section 6.9.2). */
  sendWindow = initialWindow;
  /** What we let the peer send. */
  receiveWindow = initialWindow;
  /** Received, and not yet given back to the peer as credit of the stream. */
  owed = 0;
  /** The same as credit of the connection: withheld while the stream is paused. */
  held = 0;
  isPaused = false;
  queue: SendQueue | undefined = undefined;
  /** The request is HEAD: the answer announces a body that does not come. */
  asksHead = false;

  constructor(id: number, connection: StreamHost, receiver: StreamReceiver) {
    this.id = id;
    this.connection = connection;
    this.receiver = receiver;
  }

  sendHeaders(block: HeaderBlock, endStream: boolean): void {
    if (!this.isOpen || this.isSent) return;
    if (endStream) this.isSent = true;
    this.connection.outflow.sendHeaders(this, block, endStream);
  }

  sendData(bytes: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    if (!this.isOpen || this.isSent) return true;
    if (endStream) this.isSent = true;
    return this.connection.outflow.sendData(this, bytes, start, end, endStream);
  }

  sendMessage(flag: number, message: Uint8Array, endStream: boolean): boolean {
    if (!this.isOpen || this.isSent) return true;
    if (endStream) this.isSent = true;
    return this.connection.outflow.sendMessage(this, flag, message, endStream);
  }

  reset(code: number): void {
    if (this.isOpen) this.connection.resetByOwner(this, code);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.connection.creditStream(this);
  }
}

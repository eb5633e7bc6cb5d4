import { ConnectionError, errorCode } from "./error-code.ts";
import { frameFlag, frameType, initialWindow, largestWindow, smallestMaxFrameBytes } from "./frame.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { HeaderBlock } from "./header-block.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import { SendQueue } from "./send-queue.ts";
import type { Stream } from "./stream.ts";
import { TurnQueue } from "./turn-queue.ts";

/** What becomes of frames that are done. */
export interface OutflowEvents {
  /** END_STREAM has been framed. */
  ended(stream: Stream): void;
  /** What the stream queued has been framed. */
  drained(stream: Stream): void;
  /** A field section that had to wait cannot be encoded. */
  unsendable(stream: Stream, error: unknown): void;
  /** Something waits. */
  queued(): void;
  /** More waits than may. */
  overflowed(): void;
}

const messagePrefixBytes = 5;
/** Larger frames save nothing and make others wait. */
const largestFrameBytes = 32 * 1024;
const noBytes = new Uint8Array(0);
/** What waits takes more than its octets. */
const queuedOverhead = 64;

/**
 * The sending half of a connection: frames what streams send as far as the peer's windows (RFC 9113, section 5.2) and the
 * socket allow, and queues the rest by stream; streams that wait take turns, a frame each.
 */
export class Outflow {
  readonly writer: FrameWriter;
  readonly #encoder = new HpackEncoder();
  readonly #events: OutflowEvents;
  readonly #maxQueuedBytes: number;
  /** Streams that could send DATA if the connection's window or the socket let them. */
  readonly #turns = new TurnQueue();
  #window = initialWindow;
  #streamWindow = initialWindow;
  #maxFrameBytes = smallestMaxFrameBytes;
  #queuedBytes = 0;
  #isHeld = false;
  #isPumping = false;
  /** DATA frames ever sent. */
  dataFrames = 0;

  constructor(writer: FrameWriter, maxQueuedBytes: number, events: OutflowEvents) {
    this.writer = writer;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#events = events;
  }

  /** The window that a new stream begins with. */
  get streamWindow(): number {
    return this.#streamWindow;
  }

  set maxFrameBytes(bytes: number) {
    this.#maxFrameBytes = Math.min(bytes, largestFrameBytes);
  }

  set maxTableBytes(bytes: number) {
    this.#encoder.setMaxTableBytes(bytes);
  }

  sendHeaders(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    if (stream.queue !== undefined) {
      stream.queue.items.push({ block, bytes: noBytes, start: 0, end: 0, endStream });
      this.#queuedBytes += queuedOverhead;
      return;
    }
    this.#writeHeaders(stream, block, endStream);
  }

  sendData(stream: Stream, bytes: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    const length = end - start;
    if (!this.#fits(stream, length)) return this.#enqueue(stream, bytes, start, end, endStream);
    this.writer.frame(length, frameType.DATA, endStream ? frameFlag.END_STREAM : 0, stream.id);
    this.writer.copy(bytes, start, end);
    this.#spend(stream, length, endStream);
    return true;
  }

  sendMessage(stream: Stream, flag: number, message: Uint8Array, endStream: boolean): boolean {
    const length = messagePrefixBytes + message.length;
    if (!this.#fits(stream, length)) {
      const prefix = Buffer.from([flag, 0, 0, 0, 0]);
      prefix.writeUInt32BE(message.length, 1);
      this.#enqueue(stream, prefix, 0, messagePrefixBytes, false);
      return this.#enqueue(stream, message, 0, message.length, endStream);
    }
    const { writer } = this;
    writer.frame(length, frameType.DATA, endStream ? frameFlag.END_STREAM : 0, stream.id);
    writer.octet(flag);
    writer.uint32(message.length);
    writer.copy(message, 0, message.length);
    this.#spend(stream, length, endStream);
    return true;
  }

  /** WINDOW_UPDATE for the connection. Throws ConnectionError when the window overflows (section 6.9.1). */
  widen(increment: number): void {
    this.#window += increment;
    if (this.#window > largestWindow) {
      throw new ConnectionError(errorCode.FLOW_CONTROL_ERROR, "the window of the connection is above 2^31-1");
    }
    this.pumpAll();
  }

  /** WINDOW_UPDATE for a stream; false when its window overflows. */
  widenStream(stream: Stream, increment: number): boolean {
    if (!this.#moveWindow(stream, increment)) return false;
    this.pumpAll();
    return true;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE changes the windows of all open streams (section 6.9.2). */
  resizeStreams(bytes: number, streams: Iterable<Stream>): void {
    const change = bytes - this.#streamWindow;
    this.#streamWindow = bytes;
    for (const stream of streams) {
      if (this.#moveWindow(stream, change)) continue;
      throw new ConnectionError(errorCode.FLOW_CONTROL_ERROR, "SETTINGS make a stream's window larger than 2^31-1");
    }
    this.pumpAll();
  }

  /** Lets waiting streams take turns, a frame each, until a window or the socket is full. */
  pumpAll(): void {
    // A receiver that sends more from within `drained` is served by the loop that told it.
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#window > 0 && !this.#isCongested()) {
      const queue = this.#turns.take();
      if (queue === undefined) break;
      this.#pump(queue);
    }
    this.#isPumping = false;
  }

  /** The socket takes more. */
  socketDrained(): void {
    this.#isHeld = false;
    this.pumpAll();
  }

  /** The stream is over: what waits of it is dropped. */
  forget(stream: Stream): void {
    if (stream.queue === undefined) return;
    for (const { start, end } of stream.queue.items) this.#queuedBytes -= end - start + queuedOverhead;
    this.#turns.remove(stream.queue);
    stream.queue = undefined;
  }

  #moveWindow(stream: Stream, change: number): boolean {
    stream.sendWindow += change;
    if (stream.sendWindow > largestWindow) return false;
    if (stream.queue !== undefined && stream.sendWindow > 0) this.#turns.add(stream.queue);
    return true;
  }

  #fits(stream: Stream, length: number): boolean {
    if (stream.queue !== undefined) return false;
    if (length === 0) return true;
    return (
      length <= this.#window && length <= stream.sendWindow && length <= this.#maxFrameBytes && !this.#isCongested()
    );
  }

  #isCongested(): boolean {
    this.#isHeld ||= this.writer.isCongested;
    return this.#isHeld;
  }

  #spend(stream: Stream, length: number, endStream: boolean): void {
    this.dataFrames += 1;
    this.#window -= length;
    stream.sendWindow -= length;
    if (endStream) this.#events.ended(stream);
  }

  #enqueue(stream: Stream, bytes: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    if (stream.queue === undefined) {
      stream.queue = new SendQueue(stream);
      this.#events.queued();
    }
    const { queue } = stream;
    queue.items.push({ block: undefined, bytes, start, end, endStream });
    this.#queuedBytes += end - start + queuedOverhead;
    if (stream.sendWindow > 0) this.#turns.add(queue);
    this.pumpAll();
    if (this.#queuedBytes > this.#maxQueuedBytes) {
      this.#events.overflowed();
      return false;
    }
    if (queue.items.length === 0) return true;
    queue.wantsDrained = true;
    return false;
  }

  /** The turn of a stream whose window is open: a frame of DATA, and the field sections right behind it. */
  #pump(queue: SendQueue): void {
    const { stream, items } = queue;
    const [first] = items;
    if (first === undefined) return;
    const left = first.end - first.start;
    const length = Math.min(left, this.#window, stream.sendWindow, this.#maxFrameBytes);
    // SETTINGS have closed the window again.
    if (length <= 0 && left > 0) return;
    const endStream = length === left && first.endStream;
    this.writer.frame(length, frameType.DATA, endStream ? frameFlag.END_STREAM : 0, stream.id);
    this.writer.copy(first.bytes, first.start, first.start + length);
    first.start += length;
    this.#queuedBytes -= length;
    queue.hasMoved = true;
    if (length === left) this.#shift(queue);
    this.#spend(stream, length, endStream);
    this.#pumpWindowless(queue);
    if (!stream.isOpen) return;
    if (items.length > 0) {
      if (stream.sendWindow > 0) this.#turns.add(queue);
    } else if (queue.wantsDrained) this.#events.drained(stream);
  }

  /** Field sections and empty DATA need no window: they never wait at the head of a queue. */
  #pumpWindowless(queue: SendQueue): void {
    const { stream, items } = queue;
    for (let first = items[0]; first !== undefined && stream.isOpen; first = items[0]) {
      if (first.start < first.end) return;
      this.#shift(queue);
      if (first.block === undefined) {
        this.writer.frame(0, frameType.DATA, first.endStream ? frameFlag.END_STREAM : 0, stream.id);
        this.#spend(stream, 0, first.endStream);
        continue;
      }
      try {
        this.#writeHeaders(stream, first.block, first.endStream);
      } catch (error) {
        this.#events.unsendable(stream, error);
      }
    }
  }

  #shift(queue: SendQueue): void {
    queue.items.shift();
    this.#queuedBytes -= queuedOverhead;
    if (queue.items.length === 0) queue.stream.queue = undefined;
  }

  #writeHeaders(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    const { writer } = this;
    const bytes = this.#encoder.encode(block);
    const flags = endStream ? frameFlag.END_STREAM : 0;
    if (bytes.length <= this.#maxFrameBytes) {
      writer.frame(bytes.length, frameType.HEADERS, flags | frameFlag.END_HEADERS, stream.id);
      writer.copy(bytes, 0, bytes.length);
    } else this.#writeContinued(stream, bytes, flags);
    if (endStream) this.#events.ended(stream);
  }

  #writeContinued(stream: Stream, bytes: Buffer, flags: number): void {
    const size = this.#maxFrameBytes;
    for (let at = 0; at < bytes.length; at += size) {
      const end = Math.min(at + size, bytes.length);
      const isLast = end === bytes.length ? frameFlag.END_HEADERS : 0;
      if (at === 0) this.writer.frame(end, frameType.HEADERS, flags, stream.id);
      else this.writer.frame(end - at, frameType.CONTINUATION, isLast, stream.id);
      this.writer.copy(bytes, at, end);
    }
  }
}

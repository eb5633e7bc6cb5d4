import type { Socket } from "node:net";
import { frameFlag, frameHeaderBytes, frameType } from "./frame.ts";

const chunkBytes = 64 * 1024;
const maxSpareChunks = 16;
/** Chunks between two uses. Like Node's own pool of buffers it belongs to nobody: thousands of idle connections hold none. */
const spareChunks: Buffer[] = [];
/** So little is rather copied than kept in a chunk of its own. */
const smallBytes = 16 * 1024;
/** The socket holds so much that no more DATA should be framed until it has drained. */
const congestedBytes = 1024 * 1024;

/** Collects the frames of one event-loop turn and gives them to the socket in one write. bench:grpc keeps it honest. */
export class FrameWriter {
  readonly #socket: Socket;
  #chunk: Buffer | undefined;
  #at = 0;
  #isScheduled = false;
  readonly #onTurn = (): void => {
    this.#isScheduled = false;
    // A slow socket gets whole chunks: thousands of small ones that wait would cost many times what they hold.
    if (!this.#socket.writableNeedDrain) this.flush();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The socket is slow: DATA should wait for its `drain`. */
  get isCongested(): boolean {
    return this.#socket.writableLength > congestedBytes;
  }

  /** What has been framed and not been taken by the system. */
  get pendingBytes(): number {
    return this.#at + this.#socket.writableLength;
  }

  /** The head of a frame; its payload of `length` octets, at most 32 KiB, follows by `octet`, `uint32` and `copy`. */
  frame(length: number, type: number, flags: number, streamId: number): void {
    const chunk = this.#room(frameHeaderBytes + length);
    const at = this.#at;
    chunk[at] = length >>> 16;
    chunk[at + 1] = length >>> 8;
    chunk[at + 2] = length;
    chunk[at + 3] = type;
    chunk[at + 4] = flags;
    chunk[at + 5] = streamId >>> 24;
    chunk[at + 6] = streamId >>> 16;
    chunk[at + 7] = streamId >>> 8;
    chunk[at + 8] = streamId;
    this.#at = at + frameHeaderBytes;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#onTurn);
  }

  octet(value: number): void {
    this.#room(1)[this.#at++] = value;
  }

  uint16(value: number): void {
    this.octet(value >>> 8);
    this.octet(value);
  }

  uint32(value: number): void {
    const chunk = this.#room(4);
    const at = this.#at;
    chunk[at] = value >>> 24;
    chunk[at + 1] = value >>> 16;
    chunk[at + 2] = value >>> 8;
    chunk[at + 3] = value;
    this.#at = at + 4;
  }

  copy(bytes: Uint8Array, start: number, end: number): void {
    const chunk = this.#room(end - start);
    let at = this.#at;
    // A crossing into C++ costs more than so few octets.
    if (end - start <= 48) for (let from = start; from < end; from += 1) chunk[at++] = bytes[from] ?? 0;
    else {
      chunk.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at);
      at += end - start;
    }
    this.#at = at;
  }

  raw(bytes: Uint8Array): void {
    this.copy(bytes, 0, bytes.length);
  }

  rstStream(streamId: number, code: number): void {
    this.frame(4, frameType.RST_STREAM, 0, streamId);
    this.uint32(code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.frame(4, frameType.WINDOW_UPDATE, 0, streamId);
    this.uint32(increment);
  }

  ping(payload: Uint8Array, start: number, isAck: boolean): void {
    this.frame(8, frameType.PING, isAck ? frameFlag.ACK : 0, 0);
    this.copy(payload, start, start + 8);
  }

  goAway(lastStreamId: number, code: number, message: string): void {
    const debug = Buffer.from(message.slice(0, 256));
    this.frame(8 + debug.length, frameType.GOAWAY, 0, 0);
    this.uint32(lastStreamId);
    this.uint32(code);
    this.raw(debug);
  }

  /** Writes what has been collected; what a slow socket does not get at the end of a turn is flushed on its `drain`. */
  flush(): void {
    const chunk = this.#chunk;
    if (chunk === undefined) return;
    const bytes = this.#at === chunkBytes ? chunk : chunk.subarray(0, this.#at);
    this.#chunk = undefined;
    this.#at = 0;
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    // What cannot be taken at once would keep the whole chunk.
    if (bytes.length <= smallBytes && (socket.writableLength > 0 || "encrypted" in socket)) {
      socket.write(Buffer.from(bytes));
      if (spareChunks.length < maxSpareChunks) spareChunks.push(chunk);
      return;
    }
    socket.write(bytes);
    // Nothing waits: the system has copied everything, and the chunk is free again.
    if (socket.writableLength === 0 && spareChunks.length < maxSpareChunks) spareChunks.push(chunk);
  }

  #room(length: number): Buffer {
    let chunk = this.#chunk;
    if (chunk !== undefined && this.#at + length <= chunkBytes) return chunk;
    this.flush();
    chunk = spareChunks.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
    this.#chunk = chunk;
    return chunk;
  }
}

import { ConnectionError, errorCode } from "./error-code.ts";
import { frameHeaderBytes, preface } from "./frame.ts";

/** Takes a whole frame: its payload is `bytes[start..end)`. False stops the reading. */
export type TakeFrame = (
  type: number,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
) => boolean;

/** Cuts what a socket delivers into frames (RFC 9113, section 4). */
export class FrameReader {
  readonly #maxFrameBytes: number;
  readonly #take: TakeFrame;
  #prefaceLeft: number;
  /** The beginning of a frame whose end has not come. */
  #rest: Buffer | undefined;

  constructor(expectsPreface: boolean, maxFrameBytes: number, take: TakeFrame) {
    this.#prefaceLeft = expectsPreface ? preface.length : 0;
    this.#maxFrameBytes = maxFrameBytes;
    this.#take = take;
  }

  /** Throws ConnectionError when the preface is wrong or a frame is too large. */
  push(chunk: Buffer): void {
    let at = this.#prefaceLeft === 0 ? 0 : this.#readPreface(chunk);
    if (this.#rest !== undefined) {
      at = this.#complete(this.#rest, chunk, at);
      if (at < 0) return;
    }
    const end = chunk.length;
    while (end - at >= frameHeaderBytes) {
      const next = at + frameHeaderBytes + this.#lengthAt(chunk, at);
      if (next > end) break;
      if (!this.#frame(chunk, at, next)) return;
      at = next;
    }
    if (at < end) this.#rest = at === 0 ? chunk : chunk.subarray(at);
  }

  #readPreface(chunk: Buffer): number {
    const from = preface.length - this.#prefaceLeft;
    const length = Math.min(chunk.length, this.#prefaceLeft);
    if (preface.compare(chunk, 0, length, from, from + length) !== 0) {
      throw new ConnectionError(errorCode.PROTOCOL_ERROR, "the connection does not begin with the preface of HTTP/2");
    }
    this.#prefaceLeft -= length;
    return length;
  }

  /** Copies no more of the chunk than ends the frame that was begun; -1 when the chunk was used up. */
  #complete(rest: Buffer, chunk: Buffer, from: number): number {
    let begun = rest;
    let at = from;
    if (begun.length < frameHeaderBytes) {
      const upTo = Math.min(chunk.length, at + frameHeaderBytes - begun.length);
      begun = Buffer.concat([begun, chunk.subarray(at, upTo)]);
      at = upTo;
    }
    if (begun.length >= frameHeaderBytes) {
      const missing = frameHeaderBytes + this.#lengthAt(begun, 0) - begun.length;
      if (chunk.length - at >= missing) {
        const whole = missing === 0 ? begun : Buffer.concat([begun, chunk.subarray(at, at + missing)]);
        this.#rest = undefined;
        return this.#frame(whole, 0, whole.length) ? at + missing : -1;
      }
      begun = Buffer.concat([begun, chunk.subarray(at)]);
    }
    this.#rest = begun;
    return -1;
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    if (length <= this.#maxFrameBytes) return length;
    const message = `a frame has ${length} octets; at most ${this.#maxFrameBytes} are allowed`;
    throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, message);
  }

  #frame(bytes: Buffer, at: number, end: number): boolean {
    const id =
      (((bytes[at + 5] ?? 0) & 0x7f) << 24) |
      ((bytes[at + 6] ?? 0) << 16) |
      ((bytes[at + 7] ?? 0) << 8) |
      (bytes[at + 8] ?? 0);
    return this.#take(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, id, bytes, at + frameHeaderBytes, end);
  }
}

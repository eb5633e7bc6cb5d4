/** Length-Prefixed-Message of gRPC over HTTP/2: a flag octet, the length in 4 octets, the message. bench:grpc keeps it honest. */
import { RuntimeError } from "../../components/error.ts";

const prefixBytes = 5;
/** What is set aside for a message whose octets have not come: a peer that only announces much gets no more. */
const firstRoomBytes = 64 * 1024;

/** What is told of messages. A sink that wants no more of them answers false. */
export interface MessageSink {
  /** The message is `bytes[start..end)`; `flag` is 1 when it is compressed. */
  message(flag: number, bytes: Buffer, start: number, end: number): boolean;
}

/** Cuts the messages out of the octets of a stream; one that lies whole in its chunk is not copied. */
export class MessageReader {
  readonly #maxBytes: number;
  readonly #sink: MessageSink;
  #partial: PartialMessage | undefined;

  constructor(maxBytes: number, sink: MessageSink) {
    this.#maxBytes = maxBytes;
    this.#sink = sink;
  }

  /** A message has begun and not ended. */
  get isAmid(): boolean {
    return this.#partial !== undefined;
  }

  /** Throws RESOURCE_EXHAUSTED for a message larger than allowed, INTERNAL for a flag that does not exist. */
  push(bytes: Buffer, start: number, end: number): void {
    let at = start;
    if (this.#partial !== undefined) {
      at = this.#partial.add(bytes, at, end);
      if (!this.#partial.isWhole) return;
      const { prefix, body } = this.#partial;
      this.#partial = undefined;
      if (!this.#sink.message(prefix[0] ?? 0, body, 0, body.length)) return;
    }
    while (end - at >= prefixBytes) {
      const next = at + prefixBytes + this.#checkedLength(bytes, at);
      if (next > end) break;
      if (!this.#sink.message(bytes[at] ?? 0, bytes, at + prefixBytes, next)) return;
      at = next;
    }
    if (at === end) return;
    this.#partial = new PartialMessage((prefix) => this.#checkedLength(prefix, 0));
    this.#partial.add(bytes, at, end);
  }

  #checkedLength(bytes: Buffer, at: number): number {
    const flag = bytes[at] ?? 0;
    if (flag > 1) {
      throw new RuntimeError("INTERNAL", "MESSAGE_FLAG_UNKNOWN", `a message has the flag ${flag}; there are 0 and 1`);
    }
    const length =
      (((bytes[at + 1] ?? 0) << 24) |
        ((bytes[at + 2] ?? 0) << 16) |
        ((bytes[at + 3] ?? 0) << 8) |
        (bytes[at + 4] ?? 0)) >>>
      0;
    if (length > this.#maxBytes) {
      const text = `a message takes ${length} bytes, which is larger than max (${this.#maxBytes}); raise api.maxMessageBytes`;
      throw new RuntimeError("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE", text);
    }
    return length;
  }
}

/** A message that comes in several chunks. Its room grows with what has come. */
class PartialMessage {
  readonly prefix = Buffer.allocUnsafe(prefixBytes);
  body: Buffer = noBytes;
  readonly #lengthOf: (prefix: Buffer) => number;
  #prefixed = 0;
  #length = 0;
  #filled = 0;

  constructor(lengthOf: (prefix: Buffer) => number) {
    this.#lengthOf = lengthOf;
  }

  get isWhole(): boolean {
    return this.#prefixed === prefixBytes && this.#filled === this.#length;
  }

  /** Takes what belongs to the message and returns where the rest begins. */
  add(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (this.#prefixed < prefixBytes && at < end) {
      this.prefix[this.#prefixed] = bytes[at] ?? 0;
      this.#prefixed += 1;
      at += 1;
      if (this.#prefixed < prefixBytes) continue;
      this.#length = this.#lengthOf(this.prefix);
      this.body = Buffer.allocUnsafe(Math.min(this.#length, firstRoomBytes));
    }
    const stop = Math.min(end, at + this.#length - this.#filled);
    if (stop === at) return at;
    this.#makeRoom(this.#filled + stop - at);
    bytes.copy(this.body, this.#filled, at, stop);
    this.#filled += stop - at;
    return stop;
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.body.length) return;
    const larger = Buffer.allocUnsafe(Math.min(this.#length, Math.max(bytes, 2 * this.body.length)));
    this.body.copy(larger, 0, 0, this.#filled);
    this.body = larger;
  }
}

const noBytes = Buffer.alloc(0);

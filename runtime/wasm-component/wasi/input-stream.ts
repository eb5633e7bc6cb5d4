import { payForCall, payForStream } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { closed } from "./io-error.ts";
import { Pollable } from "./pollable.ts";
import { untilReady, type Waitable } from "./waiting.ts";

/** Where the bytes of an input stream come from. It is ready when there are bytes, and when none will come. */
export interface InputSource extends Waitable {
  /** At most `max` of the bytes that are here, and none while there are none; undefined at the end. Throws a StreamError. */
  take(max: number): Uint8Array | undefined;
  /** The guest has let go of the stream. */
  dropped(): void;
}

/** A guest gets no more at once, whatever it asks for. */
const maxRead = 1024 ** 2;
const noBytes = new Uint8Array(0);

/** The resource `wasi:io/streams.input-stream`. */
export class InputStream implements Disposable {
  readonly #host: GuestHost;
  readonly #source: InputSource;

  constructor(host: GuestHost, source: InputSource) {
    this.#host = host;
    this.#source = source;
  }

  read(length: bigint): Uint8Array {
    return this.take(countOf(length));
  }

  blockingRead(length: bigint): Uint8Array | Promise<Uint8Array> {
    const max = countOf(length);
    return max === 0 || this.#source.isReady ? this.take(max) : this.#taken(max);
  }

  skip(length: bigint): bigint {
    return BigInt(this.take(countOf(length)).length);
  }

  blockingSkip(length: bigint): bigint | Promise<bigint> {
    const max = countOf(length);
    if (max === 0 || this.#source.isReady) return BigInt(this.take(max).length);
    return this.#taken(max).then((bytes) => BigInt(bytes.length));
  }

  subscribe(): Pollable {
    return new Pollable(this.#host, this.#source);
  }

  [Symbol.dispose](): void {
    this.#source.dropped();
  }

  /** At most `max` bytes that are here now. Throws a StreamError. */
  take(max: number): Uint8Array {
    const bytes = this.#source.take(max);
    if (bytes === undefined) {
      payForCall(this.#host);
      throw closed;
    }
    payForStream(this.#host, bytes.length);
    return bytes;
  }

  /** Whether there are bytes, or none will come. */
  get hasArrived(): boolean {
    return this.#source.isReady;
  }

  /** Resolves when that is so. */
  arrived(): Promise<void> {
    return untilReady(this.#host, [this.#source]);
  }

  async #taken(max: number): Promise<Uint8Array> {
    await this.arrived();
    return this.take(max);
  }
}

/** A number of bytes as a guest asks for it. */
export function countOf(length: bigint): number {
  return length > maxRead ? maxRead : Number(length);
}

/** A stream without a byte. */
export const emptySource: InputSource = {
  isReady: true,
  get waiter() {
    return undefined;
  },
  set waiter(_) {
    // It never changes.
  },
  take: () => undefined,
  dropped: () => undefined,
};

/** Who fills a queue. */
export interface QueueFiller {
  /** Bytes were taken; so much is left. */
  taken(left: number): void;
  /** Nobody will take any more. */
  dropped(): void;
}

/** What a chunk is reckoned at beyond its bytes. */
const chunkOverhead = 64;

/** Bytes that the host has for a guest, in the chunks in which they came. Who fills it minds how much is in it. */
export class ByteQueue implements InputSource {
  waiter: Waitable["waiter"];
  readonly #filler: QueueFiller;
  readonly #chunks: Uint8Array[] = [];
  #load = 0;
  #end: "open" | "ended" | "dropped" | (() => unknown) = "open";

  constructor(filler: QueueFiller) {
    this.#filler = filler;
  }

  /** How much memory the bytes that wait here take, about. */
  get load(): number {
    return this.#load;
  }

  get isReady(): boolean {
    return this.#chunks.length > 0 || this.#end !== "open";
  }

  /** The chunk is kept: nobody may write to it again. */
  push(chunk: Uint8Array): void {
    if (this.#end !== "open" || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#load += chunk.length + chunkOverhead;
    this.waiter?.wake();
  }

  /** No more comes. `failure`: what a reader is thrown once it has read all. */
  end(failure?: () => unknown): void {
    if (this.#end !== "open") return;
    this.#end = failure ?? "ended";
    this.waiter?.wake();
  }

  take(max: number): Uint8Array | undefined {
    const first = this.#chunks[0];
    if (first === undefined) return this.#takeEnd();
    if (max < first.length) {
      this.#chunks[0] = first.subarray(max);
      this.#took(max);
      return max === 0 ? noBytes : first.subarray(0, max);
    }
    this.#chunks.shift();
    this.#took(first.length + chunkOverhead);
    return first;
  }

  dropped(): void {
    if (this.#end === "dropped") return;
    this.#end = "dropped";
    this.#chunks.length = 0;
    this.#load = 0;
    this.waiter?.wake();
    this.#filler.dropped();
  }

  #takeEnd(): Uint8Array | undefined {
    const end = this.#end;
    if (end === "open") return noBytes;
    if (typeof end === "function") {
      this.#end = "ended";
      throw end();
    }
    return undefined;
  }

  #took(load: number): void {
    if (load === 0) return;
    this.#load -= load;
    this.#filler.taken(this.#load);
  }
}

import { payForCall, payForStream } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { countOf, type InputStream } from "./input-stream.ts";
import { Pollable } from "./pollable.ts";
import { untilReady, type Waitable } from "./waiting.ts";

/** Where the bytes of an output stream go. It is ready when it has room, and when it takes no more. */
export interface OutputSink extends Waitable {
  /** How many bytes it takes now; 0 while there is no room. Throws a StreamError. */
  room(): number;
  /** The bytes are kept: nobody may write to them again. Throws a StreamError. */
  write(bytes: Uint8Array): void;
  /** The guest has let go of the stream. */
  dropped(): void;
}

/** What a sink with room takes at a time. */
export const roomPerWrite = 64 * 1024;

/** The resource `wasi:io/streams.output-stream`. What is written goes on at once: there is nothing to flush but to wait for room. */
export class OutputStream implements Disposable {
  readonly #host: GuestHost;
  readonly #sink: OutputSink;
  /** What `check-write` allowed, whatever happened since. */
  #permitted = 0;

  constructor(host: GuestHost, sink: OutputSink) {
    this.#host = host;
    this.#sink = sink;
  }

  checkWrite(): bigint {
    payForCall(this.#host);
    this.#permitted = this.#sink.room();
    return BigInt(this.#permitted);
  }

  write(bytes: Uint8Array): void {
    const permitted = Math.max(this.#permitted, this.#sink.room());
    if (bytes.length > permitted) {
      throw new Error(`it wrote ${bytes.length} bytes to a stream where check-write permitted ${permitted}`);
    }
    this.#permitted = permitted - bytes.length;
    this.#put(bytes);
  }

  blockingWriteAndFlush(bytes: Uint8Array): void | Promise<void> {
    if (bytes.length > this.#sink.room()) return this.#putAll(bytes);
    this.#put(bytes);
  }

  flush(): void {
    payForCall(this.#host);
    this.#sink.room();
  }

  blockingFlush(): void | Promise<void> {
    payForCall(this.#host);
    if (this.#sink.room() > 0) return;
    return untilReady(this.#host, [this.#sink]).then(() => void this.#sink.room());
  }

  writeZeroes(length: bigint): void {
    this.write(this.#zeroes(length));
  }

  blockingWriteZeroesAndFlush(length: bigint): void | Promise<void> {
    return this.blockingWriteAndFlush(this.#zeroes(length));
  }

  splice(source: InputStream, length: bigint): bigint {
    const room = Math.min(this.#sink.room(), countOf(length));
    const bytes = source.take(room);
    if (bytes.length > 0) this.#put(bytes);
    return BigInt(bytes.length);
  }

  blockingSplice(source: InputStream, length: bigint): bigint | Promise<bigint> {
    if (length === 0n || (this.#sink.isReady && source.hasArrived)) return this.splice(source, length);
    return this.#spliced(source, length);
  }

  subscribe(): Pollable {
    return new Pollable(this.#host, this.#sink);
  }

  [Symbol.dispose](): void {
    this.#sink.dropped();
  }

  #put(bytes: Uint8Array): void {
    payForStream(this.#host, bytes.length);
    if (bytes.length > 0) this.#sink.write(bytes);
  }

  async #putAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const room = this.#sink.room();
      if (room === 0) {
        await untilReady(this.#host, [this.#sink]);
        continue;
      }
      this.#put(bytes.subarray(at, at + room));
      at += room;
    }
  }

  async #spliced(source: InputStream, length: bigint): Promise<bigint> {
    if (!source.hasArrived) await source.arrived();
    if (!this.#sink.isReady) await untilReady(this.#host, [this.#sink]);
    return this.splice(source, length);
  }

  /** As many as a guest may have at once. */
  #zeroes(length: bigint): Uint8Array {
    if (length > roomPerWrite)
      throw new Error(`it asked for ${length} zeroes at once; at most ${roomPerWrite} are allowed`);
    return new Uint8Array(Number(length));
  }
}

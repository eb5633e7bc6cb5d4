import { hold, letGo } from "../held-bytes.ts";
import type { GuestHost } from "../provider.ts";
import { closed, failure } from "../wasi/io-error.ts";
import { type OutputSink, OutputStream } from "../wasi/output-stream.ts";
import type { Waiter } from "../wasi/waiting.ts";
import { blobError, throwBlobError } from "./blob-error.ts";

/** Bytes of a value that wait, for its store or to be given one. */
const mostWaiting = 1024 ** 2;

/** The bytes of a value between the guest, which writes them, and the store, which takes them. */
class BlobPipe implements OutputSink, AsyncIterable<Uint8Array> {
  waiter: Waiter | undefined;
  /** Somebody takes the bytes. */
  isTaken = false;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #end: "open" | "whole" | { readonly why: string } = "open";
  #arrived: (() => void) | undefined;
  readonly #host: GuestHost;

  constructor(host: GuestHost) {
    this.#host = host;
  }

  get isReady(): boolean {
    return this.#end !== "open" || !this.isTaken || this.#bytes < mostWaiting;
  }

  room(): number {
    if (this.#end === "whole") throw closed;
    if (this.#end !== "open") throw failure(this.#end.why);
    const room = Math.max(0, mostWaiting - this.#bytes);
    if (room === 0 && !this.isTaken) {
      throw failure(
        `${mostWaiting / 1024 ** 2} MiB of the value wait; say by write-data where it goes before more of it`,
      );
    }
    return room;
  }

  write(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    hold(this.#host, bytes.length);
    this.#arrived?.();
  }

  dropped(): void {
    // Only `finish` says that the value is whole.
  }

  /** No more comes: the value is whole, or never will be. */
  end(how: "whole" | { readonly why: string }): void {
    if (this.#end !== "open") return;
    this.#end = how;
    if (how !== "whole") this.forget();
    this.#arrived?.();
    this.waiter?.wake();
  }

  /** What waits goes nowhere. */
  forget(): void {
    letGo(this.#host, this.#bytes);
    this.#chunks.length = 0;
    this.#bytes = 0;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
        this.#bytes -= chunk.length;
        letGo(this.#host, chunk.length);
        this.waiter?.wake();
        yield chunk;
      }
      if (this.#end === "whole") return;
      if (this.#end !== "open") throw new Error(this.#end.why);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      await promise;
    }
  }
}

/** The resource `outgoing-value`: what is written to it goes to the store meanwhile, and is there once it is finished. */
export class OutgoingValue implements Disposable {
  readonly #host: GuestHost;
  readonly #pipe: BlobPipe;
  #hasBody = false;
  #put: Promise<void> | undefined;

  constructor(host: GuestHost) {
    this.#host = host;
    this.#pipe = new BlobPipe(host);
  }

  outgoingValueWriteBody(): OutputStream {
    if (this.#hasBody) throw undefined;
    this.#hasBody = true;
    return new OutputStream(this.#host, this.#pipe);
  }

  /** Begins to put the value somewhere. Throws a sentence when that was begun before. */
  putBy(put: (data: AsyncIterable<Uint8Array>) => Promise<void>): void {
    if (this.#put !== undefined) throw "the value was given to write-data before; make another one for another object";
    this.#pipe.isTaken = true;
    this.#put = put(this.#pipe);
    this.#put.catch((error: unknown) => {
      this.#pipe.end({ why: blobError(error) });
      this.#pipe.forget();
    });
    this.#host.atEnd(() => this[Symbol.dispose]());
  }

  static async finish(value: OutgoingValue): Promise<void> {
    if (value.#put === undefined) throw "nothing says where the value goes; call write-data before finish";
    value.#pipe.end("whole");
    await value.#put.catch(throwBlobError);
  }

  [Symbol.dispose](): void {
    this.#pipe.end({ why: "the value was let go before it was finished" });
  }
}

import { payForStream } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { ByteQueue, InputStream } from "../wasi/input-stream.ts";
import { failure } from "../wasi/io-error.ts";
import { blobError, throwBlobError } from "./blob-error.ts";

/** What waits of a value that is read as a stream. */
const mostWaiting = 256 * 1024;
/** A larger value must be read as a stream. */
const mostAtOnce = 64 * 1024 ** 2;

/** The resource `incoming-value`: an object, or a part of one, until the end of the call. */
export class IncomingValue implements Disposable {
  readonly #host: GuestHost;
  readonly #size: number;
  readonly #pieces: AsyncIterator<Uint8Array, void>;
  #isConsumed = false;

  constructor(host: GuestHost, size: number, pieces: AsyncIterator<Uint8Array, void>) {
    this.#host = host;
    this.#size = size;
    this.#pieces = pieces;
    host.atEnd(() => this.#letGo());
  }

  size(): bigint {
    return BigInt(this.#size);
  }

  static async incomingValueConsumeSync(value: IncomingValue): Promise<Uint8Array> {
    value.#consume();
    if (value.#size > mostAtOnce) {
      value.#letGo();
      throw `the value has ${value.#size} bytes, and at most ${mostAtOnce} are given at once; read it as a stream`;
    }
    const chunks: Uint8Array[] = [];
    for (;;) {
      const next = await value.#pieces.next().catch(throwBlobError);
      if (next.done === true) return Buffer.concat(chunks);
      payForStream(value.#host, next.value.length);
      chunks.push(next.value);
    }
  }

  static incomingValueConsumeAsync(value: IncomingValue): InputStream {
    value.#consume();
    let resume: (() => void) | undefined;
    const queue = new ByteQueue({
      taken(left) {
        if (left < mostWaiting) resume?.();
      },
      dropped() {
        resume?.();
        value.#letGo();
      },
    });
    const fill = async (): Promise<void> => {
      try {
        for (;;) {
          const next = await value.#pieces.next();
          if (next.done === true) break;
          queue.push(next.value);
          if (queue.load < mostWaiting) continue;
          const { promise, resolve } = Promise.withResolvers<void>();
          resume = resolve;
          await promise;
        }
        queue.end();
      } catch (error) {
        queue.end(() => failure(blobError(error)));
      }
    };
    value.#host.atEnd(() => queue.dropped());
    void fill();
    return new InputStream(value.#host, queue);
  }

  [Symbol.dispose](): void {
    if (!this.#isConsumed) this.#letGo();
  }

  #consume(): void {
    if (this.#isConsumed) throw "the value was read before";
    this.#isConsumed = true;
  }

  #letGo(): void {
    // What goes wrong with a reader that nobody wants is nobody's concern.
    this.#pieces.return?.().catch(() => undefined);
  }
}

/** So many bytes from `start` on. */
export async function* partOf(
  pieces: AsyncIterable<Uint8Array>,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array, void> {
  let skipped = start;
  let left = length;
  for await (const piece of pieces) {
    const part = piece.subarray(skipped, skipped + left);
    skipped = Math.max(0, skipped - piece.length);
    left -= part.length;
    if (part.length > 0) yield part;
    if (left === 0) return;
  }
}

import type { ClientDuplexStream, MethodDefinition } from "@grpc/grpc-js";
import { type CallOptions, type Channel, cancelled, nameOf } from "./channel.ts";
import { errorOf } from "./error.ts";

/** A bidirectional stream as an async iterable; leaving the loop, disposing or the signal of its options ends it. */
export class Stream<Q, R> implements AsyncIterable<R>, AsyncDisposable {
  readonly #stream: ClientDuplexStream<Q, R>;
  readonly #responses: AsyncIterator<R>;
  readonly #method: string;
  readonly #options: CallOptions;
  readonly #abort: () => void;
  #closed = false;

  constructor(channel: Channel, method: MethodDefinition<Q, R>, options: CallOptions = {}) {
    this.#method = nameOf(method);
    this.#options = options;
    this.#stream = channel.bidi(method, options);
    // The iterator tells errors; without a listener an error that comes while nobody reads would end the process.
    this.#stream.on("error", () => undefined);
    this.#responses = this.#stream[Symbol.asyncIterator]();
    this.#abort = () => this.#stream.cancel();
    options.signal?.addEventListener("abort", this.#abort, { once: true });
    if (options.signal?.aborted) this.#abort();
  }

  send(request: Q): void {
    this.#stream.write(request);
  }

  /** Resolves when the runtime sends the metadata that tells that the stream is in effect. */
  inEffect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.once("metadata", () => resolve());
      this.#stream.once("error", (error) => reject(this.#errorOf(error)));
      this.#stream.once("status", ({ code, details }) => {
        if (code === 0) reject(errorOf(`the stream ended before it was in effect ${details}`, this.#method));
      });
    });
  }

  /** The next message, or undefined when the runtime ended the stream or this side closed it. */
  async receive(): Promise<R | undefined> {
    try {
      const next = await this.#responses.next();
      return next.done === true ? undefined : next.value;
    } catch (error) {
      if (this.#closed && this.#options.signal?.aborted !== true) return undefined;
      throw this.#errorOf(error);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<R, void> {
    try {
      for (let next = await this.receive(); next !== undefined; next = await this.receive()) yield next;
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#stream.cancel();
  }

  #errorOf(error: unknown): Error {
    const { signal } = this.#options;
    return signal?.aborted ? cancelled(this.#method, signal) : errorOf(error, this.#method);
  }
}

import { setTimeout as delay } from "node:timers/promises";
import type { ClientDuplexStream, MethodDefinition } from "@grpc/grpc-js";
import { type CallOptions, type Channel, nameOf } from "./channel.ts";
import { cancelled, errorOf, OutriggerError } from "./error.ts";

/** How long a stream that is left may take to end in order. */
const endMs = 1_000;

/** A bidirectional stream as an async iterable; leaving the loop, disposing or the signal of its options ends it. */
export class Stream<Q, R> implements AsyncIterable<R>, AsyncDisposable {
  readonly #stream: ClientDuplexStream<Q, R>;
  readonly #responses: AsyncIterator<R>;
  /** Called when the stream is over: what waits for something that can no longer come. */
  readonly #waiting = new Set<() => void>();
  readonly #method: string;
  readonly #signal: AbortSignal | undefined;
  readonly #abort: () => void;
  #closing: Promise<void> | undefined;

  /** Begins the stream with its first request. */
  constructor(channel: Channel, method: MethodDefinition<Q, R>, first: Q, options: CallOptions = {}) {
    this.#method = nameOf(method);
    this.#signal = options.signal;
    this.#stream = channel.bidi(method, options);
    // The iterator tells errors; without a listener an error that comes while nobody reads would end the process.
    this.#stream.on("error", () => undefined);
    this.#stream.once("status", () => {
      for (const end of this.#waiting) end();
    });
    this.#responses = this.#stream[Symbol.asyncIterator]();
    this.#abort = () => this.#stream.cancel();
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
    if (this.#signal?.aborted) this.#abort();
    else this.#stream.write(first);
  }

  /** Resolves when the request has left; rejects when the stream is over. */
  send(request: Q): Promise<void> {
    return this.#unlessOver((resolve, reject) => {
      if (this.#closing !== undefined) reject(this.#ended());
      else this.#stream.write(request, (error?: Error | null) => (error ? reject(this.#errorOf(error)) : resolve()));
    });
  }

  /** Resolves when the runtime sends the metadata that tells that the stream is in effect. */
  inEffect(): Promise<void> {
    return this.#unlessOver((resolve, reject) => {
      this.#stream.once("metadata", () => resolve());
      this.#stream.once("error", (error) => reject(this.#errorOf(error)));
    });
  }

  /** The next message, or undefined when the runtime ended the stream or this side closed it. */
  async receive(): Promise<R | undefined> {
    try {
      const next = await this.#responses.next();
      return next.done === true ? undefined : next.value;
    } catch (error) {
      if (this.#closing !== undefined && this.#signal?.aborted !== true) return undefined;
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

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Half-closes, so that what was sent arrives before the stream ends; cancels when the runtime does not end it soon. */
  async #close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#stream.end();
    const drained = new AbortController();
    const drain = async (): Promise<void> => {
      for (let next = await this.#responses.next(); next.done !== true; next = await this.#responses.next());
    };
    const stop = (): void => drained.abort();
    await Promise.all([
      drain().then(stop, stop),
      delay(endMs, undefined, { signal: drained.signal }).then(
        () => this.#stream.cancel(),
        () => undefined,
      ),
    ]);
  }

  async #unlessOver(start: (resolve: () => void, reject: (error: Error) => void) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const end = (): void => reject(this.#ended());
    this.#waiting.add(end);
    try {
      start(resolve, reject);
      await promise;
    } finally {
      this.#waiting.delete(end);
    }
  }

  #ended(): OutriggerError {
    return new OutriggerError("CANCELLED", "STREAM_ENDED", "the stream has ended", { method: this.#method });
  }

  #errorOf(error: unknown): Error {
    return this.#signal?.aborted ? cancelled(this.#method, this.#signal) : errorOf(error, this.#method);
  }
}

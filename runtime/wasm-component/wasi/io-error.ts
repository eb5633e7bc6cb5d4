/** The resource `wasi:io/error`: why an operation on a stream failed. */
export class IoError implements Disposable {
  readonly #sentence: string;
  /** What other interfaces make of it, such as an error code of HTTP. */
  readonly cause: unknown;

  constructor(sentence: string, cause?: unknown) {
    this.#sentence = sentence;
    this.cause = cause;
  }

  toDebugString(): string {
    return this.#sentence;
  }

  [Symbol.dispose](): void {
    // There is nothing behind it.
  }
}

/** The variant `stream-error`, as it is thrown at a guest. */
export type StreamError = { readonly tag: "closed" } | { readonly tag: "last-operation-failed"; readonly val: IoError };

export const closed: StreamError = { tag: "closed" };

/** Of an operation that failed; the stream is closed after it. */
export const failure = (sentence: string, cause?: unknown): StreamError => ({
  tag: "last-operation-failed",
  val: new IoError(sentence, cause),
});

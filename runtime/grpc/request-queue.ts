import type { RuntimeError } from "../../components/error.ts";

/** The requests that lie here before the peer is asked to wait: so many, or so many bytes. */
const mostMessages = 32;
const mostBytes = 64 * 1024;

/** Where the messages come from. */
export interface RequestSource {
  pause(): void;
  resume(): void;
}

interface Message {
  readonly flag: number;
  readonly bytes: Buffer;
}

interface Waiting {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Decodes a message; what it throws or rejects with is what the reader gets. */
type Decode = (flag: number, bytes: Buffer) => unknown;

/** The requests of a stream as its handler reads them, decoded when they are read. It holds the peer back when many wait. */
export class RequestQueue implements AsyncIterableIterator<unknown, undefined> {
  readonly #source: RequestSource;
  readonly #decode: Decode;
  readonly #messages: Message[] = [];
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #isEnded = false;
  #isPaused = false;
  #failure: RuntimeError | undefined;

  constructor(source: RequestSource, decode: Decode) {
    this.#source = source;
    this.#decode = decode;
  }

  push(flag: number, bytes: Buffer): void {
    if (this.#isEnded || this.#failure !== undefined) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      this.#read({ flag, bytes }).then(waiting.resolve, waiting.reject);
      return;
    }
    // What waits must not hold a much larger chunk of the socket.
    const isSmallPart = bytes.length * 4 < bytes.buffer.byteLength;
    this.#messages.push({ flag, bytes: isSmallPart ? Buffer.from(bytes) : bytes });
    this.#bytes += bytes.length;
    if (this.#isPaused || (this.#messages.length < mostMessages && this.#bytes < mostBytes)) return;
    this.#isPaused = true;
    this.#source.pause();
  }

  /** No more messages come. */
  end(): void {
    this.#isEnded = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  /** The call is over: nothing is read any more. */
  fail(reason: RuntimeError): void {
    this.#failure ??= reason;
    this.#messages.length = 0;
    this.#bytes = 0;
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const message = this.#messages.shift();
    if (message === undefined) {
      if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    this.#bytes -= message.bytes.length;
    if (this.#isPaused && this.#messages.length < mostMessages / 2 && this.#bytes < mostBytes / 2) {
      this.#isPaused = false;
      this.#source.resume();
    }
    return this.#read(message);
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #read({ flag, bytes }: Message): Promise<IteratorResult<unknown, undefined>> {
    return { done: false, value: await this.#decode(flag, bytes) };
  }
}

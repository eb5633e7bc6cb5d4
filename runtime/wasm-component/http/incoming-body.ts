import { payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { ByteQueue, InputStream, type QueueFiller } from "../wasi/input-stream.ts";
import { Pollable } from "../wasi/pollable.ts";
import type { Waitable } from "../wasi/waiting.ts";
import { type ErrorCode, streamFailure } from "./error-code.ts";
import { type Field, Fields } from "./fields.ts";

/** Who sends a body that comes in. */
export interface BodySource {
  /** There is room again, or nobody reads the body and all of it may come. */
  wantsMore(): void;
  /** Nobody wants to know of what is left of the message. */
  unwanted(): void;
  /** Nothing of the body waits for its guest any more. */
  emptied?(): void;
}

/** So much of a body waits for its guest before its source is held back. */
const fullAt = 64 * 1024;
const roomAt = fullAt / 2;

type Trailers =
  | { readonly tag: "ok"; readonly val: readonly Field[] | undefined }
  | { readonly tag: "err"; readonly val: ErrorCode };

/** A body on its way into a guest, and the trailers behind it. */
export class BodyFeed implements QueueFiller, Waitable {
  /** Of the trailers. */
  waiter: Waitable["waiter"];
  readonly queue = new ByteQueue(this);
  readonly #source: BodySource;
  #isDiscarding = false;
  #isFull = false;
  #end: Trailers | undefined;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** Whether the source is to be held back until it is told that more is wanted. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Whether what comes is thrown away. */
  get isDiscarding(): boolean {
    return this.#isDiscarding;
  }

  /** Whether the end of the message is known. */
  get isReady(): boolean {
    return this.#end !== undefined;
  }

  /** Whether a guest waits for more of the message. */
  get isAwaited(): boolean {
    return this.#end === undefined && (this.queue.waiter !== undefined || this.waiter !== undefined);
  }

  get end(): Trailers | undefined {
    return this.#end;
  }

  /** The chunk is kept: nobody may write to it again. */
  push(chunk: Uint8Array): void {
    if (this.#isDiscarding) return;
    this.queue.push(chunk);
    if (this.queue.load >= fullAt) this.#isFull = true;
  }

  finish(trailers?: readonly Field[]): void {
    if (this.#end !== undefined) return;
    this.#end = { tag: "ok", val: trailers };
    this.queue.end();
    this.waiter?.wake();
  }

  /** The rest does not come. */
  fail(code: ErrorCode, sentence: string): void {
    if (this.#end !== undefined) return;
    this.#end = { tag: "err", val: code };
    this.queue.end(() => streamFailure(sentence, code));
    this.waiter?.wake();
  }

  taken(left: number): void {
    if (left === 0) this.#source.emptied?.();
    if (!this.#isFull || left > roomAt) return;
    this.#isFull = false;
    this.#source.wantsMore();
  }

  dropped(): void {
    this.#isDiscarding = true;
    this.#isFull = false;
    this.#source.emptied?.();
    this.#source.wantsMore();
  }

  /** Nobody waits for the end either. */
  unwanted(): void {
    this.queue.dropped();
    this.#source.unwanted();
  }
}

/** The resource `wasi:http/types.incoming-body`. */
export class IncomingBody implements Disposable {
  readonly #host: GuestHost;
  readonly #feed: BodyFeed;
  #isStreamed = false;
  #isFinished = false;

  constructor(host: GuestHost, feed: BodyFeed) {
    this.#host = host;
    this.#feed = feed;
  }

  stream(): InputStream {
    payForCall(this.#host);
    if (this.#isStreamed) throw undefined;
    this.#isStreamed = true;
    return new InputStream(this.#host, this.#feed.queue);
  }

  static finish(body: IncomingBody): FutureTrailers {
    body.#isFinished = true;
    body.#feed.queue.dropped();
    return new FutureTrailers(body.#host, body.#feed);
  }

  [Symbol.dispose](): void {
    if (!this.#isFinished) this.#feed.unwanted();
  }
}

/** The resource `wasi:http/types.future-trailers`. */
export class FutureTrailers implements Disposable {
  readonly #host: GuestHost;
  readonly #feed: BodyFeed;
  #isTaken = false;

  constructor(host: GuestHost, feed: BodyFeed) {
    this.#host = host;
    this.#feed = feed;
  }

  subscribe(): Pollable {
    return new Pollable(this.#host, this.#feed);
  }

  get(): unknown {
    payForCall(this.#host);
    const { end } = this.#feed;
    if (end === undefined) return undefined;
    if (this.#isTaken) return { tag: "err" };
    this.#isTaken = true;
    if (end.tag === "err") return { tag: "ok", val: end };
    const val = end.val && Fields.received(this.#host, end.val);
    return { tag: "ok", val: { tag: "ok", val } };
  }

  [Symbol.dispose](): void {
    this.#feed.unwanted();
  }
}

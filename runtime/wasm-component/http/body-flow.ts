import { hold, letGo } from "../held-bytes.ts";
import type { GuestHost } from "../provider.ts";
import { closed } from "../wasi/io-error.ts";
import { type OutputSink, roomPerWrite } from "../wasi/output-stream.ts";
import type { Waitable } from "../wasi/waiting.ts";
import { type ErrorCode, streamFailure } from "./error-code.ts";
import type { Field } from "./fields.ts";

/** Takes the body of a message whose head has gone. */
export interface BodyTarget {
  data(chunk: Uint8Array, endOfStream: boolean): void;
  trailers(trailers: readonly Field[]): void;
  /** The rest does not come. */
  broken(reason: string): void;
}

const noBytes = new Uint8Array(0);

/** A body on its way out of a guest. What is written before the head has gone is kept, as far as there is room. */
export class BodyFlow implements OutputSink {
  waiter: Waitable["waiter"];
  readonly #host: GuestHost;
  /** `response of plugin 'web'`, for sentences. */
  readonly #what: string;
  readonly #sizeTag: string;
  /** What the head declares, if it does. */
  #length: number | undefined;
  #written = 0;
  #target: BodyTarget | undefined;
  #kept: Uint8Array[] | undefined;
  #keptBytes = 0;
  #trailers: readonly Field[] | undefined;
  #isPaused = false;
  #isDiscarded = false;
  /** `whole`: finished, with the right length. `broken`: given up by the guest. `closed`: nobody takes more. */
  #state: "open" | "whole" | "broken" | "closed" = "open";
  /** Why it is broken. */
  #reason: string | undefined;

  constructor(host: GuestHost, message: "request" | "response", length: number | undefined) {
    this.#host = host;
    this.#what = `${message} of plugin '${host.program.name}'`;
    this.#sizeTag = message === "request" ? "HTTP-request-body-size" : "HTTP-response-body-size";
    this.#length = length;
  }

  /** Sends what was written so far, and from now on what is. */
  attach(target: BodyTarget): void {
    this.#target = target;
    const kept = this.#kept;
    this.#forget();
    if (kept !== undefined) for (const chunk of kept) target.data(chunk, false);
    if (this.#state === "whole") this.#sendEnd(target);
    else if (this.#state === "broken") target.broken(this.#reason ?? this.#unfinished);
    else this.waiter?.wake();
  }

  /** The body is not sent, as of an answer to HEAD or of a message that was let go: it is taken all the same, and need not be as long as was declared. */
  discard(): void {
    this.#isDiscarded = true;
    this.#length = undefined;
    this.#forget();
    this.waiter?.wake();
  }

  /** Nobody takes any more of it, nor what was kept until somebody would. */
  close(): void {
    this.#forget();
    if (!this.#isDiscarded) this.#stop("closed");
  }

  /** Breaks it off when it is not whole. */
  abandon(reason = this.#unfinished): void {
    if (this.#isDiscarded || !this.#stop("broken")) return;
    this.#reason = reason;
    this.#target?.broken(reason);
  }

  /** Ends it. Throws an error code, and breaks it off, when it is not as long as was declared. */
  finish(trailers: readonly Field[]): void {
    if (this.#state === "broken") throw this.#sizeError(this.#written);
    if (this.#state !== "open") return;
    if (this.#length !== undefined && this.#written !== this.#length) {
      this.abandon(`the ${this.#what} has ${this.#written} bytes where its head declares ${this.#length}`);
      throw this.#sizeError(this.#written);
    }
    this.#state = "whole";
    this.#trailers = trailers;
    if (this.#target !== undefined) this.#sendEnd(this.#target);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.waiter?.wake();
  }

  /** Whether all of it was written that is sent. */
  get isWhole(): boolean {
    return this.#state === "whole" || this.#isDiscarded;
  }

  /** Whether it is finished, and there was nothing to send. */
  get isEmpty(): boolean {
    return this.#state === "whole" && this.#written === 0 && (this.#trailers ?? []).length === 0;
  }

  get isReady(): boolean {
    return this.#state !== "open" || this.#room > 0;
  }

  room(): number {
    if (this.#state !== "open") throw closed;
    return this.#room;
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== "open") throw closed;
    if (this.#isDiscarded) return;
    const written = this.#written + bytes.length;
    if (this.#length !== undefined && written > this.#length) {
      const sentence = `the ${this.#what} is longer than the ${this.#length} bytes that its head declares`;
      this.#written = written;
      this.abandon(sentence);
      throw streamFailure(sentence, this.#sizeError(written));
    }
    this.#written = written;
    if (this.#target !== undefined) this.#target.data(bytes, false);
    else this.#keep(bytes);
  }

  dropped(): void {
    // A body ends by `finish`, not with its stream.
  }

  #keep(bytes: Uint8Array): void {
    this.#keptBytes += bytes.length;
    hold(this.#host, bytes.length);
    if (this.#kept === undefined) this.#kept = [bytes];
    else this.#kept.push(bytes);
  }

  /** What was written goes nowhere. */
  #forget(): void {
    letGo(this.#host, this.#keptBytes);
    this.#kept = undefined;
    this.#keptBytes = 0;
  }

  get #room(): number {
    if (this.#isDiscarded) return roomPerWrite;
    if (this.#isPaused) return 0;
    return this.#target === undefined ? Math.max(0, roomPerWrite - this.#written) : roomPerWrite;
  }

  #stop(state: "broken" | "closed"): boolean {
    if (this.#state !== "open") return false;
    this.#state = state;
    this.#forget();
    this.waiter?.wake();
    return true;
  }

  #sendEnd(target: BodyTarget): void {
    if (this.#trailers === undefined || this.#trailers.length === 0) target.data(noBytes, true);
    else target.trailers(this.#trailers);
  }

  get #unfinished(): string {
    return `the ${this.#what} has a body that it did not finish`;
  }

  #sizeError(bytes: number): ErrorCode {
    return { tag: this.#sizeTag, val: BigInt(bytes) };
  }
}

import { ChunkedReader } from "./chunked-reader.ts";
import type { BodyFraming } from "./framing.ts";
import type { Http1Limits } from "./limits.ts";

/** Who takes a body. */
export interface BodySink {
  /** A piece of the body, `bytes[start..end)`. */
  bodyPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void;
  /** The end, when no piece said so: with the trailers' names and values, which may be none. */
  bodyEnd(trailers: string[]): void;
}

/** Takes the body of a message out of the octets that follow its head. */
export class BodyReader {
  readonly #limits: Http1Limits;
  readonly #sink: BodySink;
  #left: number;
  readonly #chunked: ChunkedReader | undefined;

  constructor(framing: BodyFraming, limits: Http1Limits, sink: BodySink) {
    this.#limits = limits;
    this.#sink = sink;
    this.#left = typeof framing === "number" ? framing : Number.POSITIVE_INFINITY;
    this.#chunked = framing === "chunked" ? new ChunkedReader(this.#limits, sink) : undefined;
  }

  /** How much is still to come, at least; infinite when that is not known. */
  get left(): number {
    return this.#left;
  }

  /** Takes octets from `at` to `to` and gives the position after those of the body. Throws MessageFault. */
  read(bytes: Buffer, at: number, to: number): number {
    if (this.#chunked !== undefined) {
      const after = this.#chunked.read(bytes, at, to);
      if (this.#chunked.hasEnded) this.#left = 0;
      return after;
    }
    const end = Math.min(to, at + this.#left);
    this.#left -= end - at;
    this.#sink.bodyPiece(bytes, at, end, this.#left === 0);
    return end;
  }
}

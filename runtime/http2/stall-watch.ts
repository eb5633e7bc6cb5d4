import type { Stream } from "./stream.ts";

/**
 * Looks for streams that this side has ended and whose last octets the peer does not let go: nobody waits for them any more,
 * so nobody else would give them up. There is a timer only while something waits.
 */
export class StallWatch implements Disposable {
  readonly #stalledMs: number;
  readonly #streams: Iterable<Stream>;
  readonly #stalled: (stream: Stream) => void;
  #timer: NodeJS.Timeout | undefined;

  /** `stalled` is called for each stream of which nothing has gone for so long, or up to twice as long. */
  constructor(stalledMs: number, streams: Iterable<Stream>, stalled: (stream: Stream) => void) {
    this.#stalledMs = stalledMs;
    this.#streams = streams;
    this.#stalled = stalled;
  }

  /** Something waits. */
  watch(): void {
    if (this.#stalledMs > 0) this.#timer ??= setTimeout(() => this.#look(), this.#stalledMs).unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    this.#timer = undefined;
    for (const stream of this.#streams) {
      const { queue } = stream;
      if (queue === undefined) continue;
      this.watch();
      if (stream.isSent && !queue.hasMoved) this.#stalled(stream);
      queue.hasMoved = false;
    }
  }
}

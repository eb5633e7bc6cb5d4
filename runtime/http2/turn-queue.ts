import type { Stream } from "./stream.ts";

/**
 * Streams that wait for their turn to send, first come, first served. The links lie in the streams: adding and removing cost
 * the same however many wait, and a stream that is over is not kept.
 */
export class TurnQueue {
  #first: Stream | undefined;
  #last: Stream | undefined;

  /** Puts the stream at the end, unless it waits already. */
  add(stream: Stream): void {
    if (stream.isWaiting) return;
    stream.isWaiting = true;
    stream.before = this.#last;
    if (this.#last === undefined) this.#first = stream;
    else this.#last.behind = stream;
    this.#last = stream;
  }

  /** Takes the stream whose turn it is. */
  take(): Stream | undefined {
    const stream = this.#first;
    if (stream !== undefined) this.remove(stream);
    return stream;
  }

  remove(stream: Stream): void {
    if (!stream.isWaiting) return;
    const { before, behind } = stream;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    stream.isWaiting = false;
    stream.before = undefined;
    stream.behind = undefined;
  }
}

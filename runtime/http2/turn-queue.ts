import type { SendQueue } from "./send-queue.ts";

/**
 * Streams that wait for their turn to send, first come, first served. The links lie in their queues: adding and removing
 * cost the same however many wait, and a stream that is over is not kept.
 */
export class TurnQueue {
  #first: SendQueue | undefined;
  #last: SendQueue | undefined;

  /** Puts it at the end, unless it waits already. */
  add(queue: SendQueue): void {
    if (queue.isWaiting) return;
    queue.isWaiting = true;
    queue.before = this.#last;
    if (this.#last === undefined) this.#first = queue;
    else this.#last.behind = queue;
    this.#last = queue;
  }

  /** Takes the one whose turn it is. */
  take(): SendQueue | undefined {
    const queue = this.#first;
    if (queue !== undefined) this.remove(queue);
    return queue;
  }

  remove(queue: SendQueue): void {
    if (!queue.isWaiting) return;
    const { before, behind } = queue;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    queue.isWaiting = false;
    queue.before = undefined;
    queue.behind = undefined;
  }
}

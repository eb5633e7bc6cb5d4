/** What may end by itself before its time is up; the queue owns the fields. */
export interface Expiring {
  expiresAtMs: number;
  earlier: Expiring | undefined;
  later: Expiring | undefined;
  /** Its time is up; it is in the queue no more. */
  expired(): void;
}

/** Things that may all take equally long, in the order in which they began, and one timer for all of them. */
export class DeadlineQueue implements Disposable {
  readonly #durationMs: number;
  #first: Expiring | undefined;
  #last: Expiring | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(durationMs: number) {
    this.#durationMs = durationMs;
  }

  add(one: Expiring, nowMs: number = performance.now()): void {
    one.expiresAtMs = nowMs + this.#durationMs;
    one.earlier = this.#last;
    one.later = undefined;
    if (this.#last === undefined) this.#first = one;
    else this.#last.later = one;
    this.#last = one;
    this.#timer ??= setTimeout(() => this.#expire(), this.#durationMs);
  }

  /** No effect when it is not in the queue. */
  remove(one: Expiring): void {
    if (one.expiresAtMs === 0) return;
    one.expiresAtMs = 0;
    const { earlier, later } = one;
    if (earlier === undefined) this.#first = later;
    else earlier.later = later;
    if (later === undefined) this.#last = earlier;
    else later.earlier = earlier;
    one.earlier = undefined;
    one.later = undefined;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    let one = this.#first;
    while (one !== undefined && one.expiresAtMs <= nowMs) {
      this.remove(one);
      one.expired();
      one = this.#first;
    }
    if (one !== undefined) this.#timer = setTimeout(() => this.#expire(), Math.ceil(one.expiresAtMs - nowMs));
  }
}

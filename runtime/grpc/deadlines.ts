/** What ends at a deadline. */
export interface Expiring {
  expire(): void;
}

const slotMs = 8;
const slotCount = 1024;

/** One deadline while it is kept; a link of its slot's ring. */
export class Deadline {
  readonly owner: Expiring | undefined;
  /** Counted in slots. */
  readonly due: number;
  previous: Deadline = this;
  next: Deadline = this;

  constructor(owner: Expiring | undefined, due: number) {
    this.owner = owner;
    this.due = due;
  }
}

/**
 * The deadlines of many calls under one timer (a timing wheel): keeping and dropping one costs a few assignments, and the
 * timer runs only to where the next deadline may be. Never early, at most a slot late. bench:grpc keeps it honest.
 */
export class Deadlines implements Disposable {
  /** A ring for each slot, begun by a deadline of nobody; a slot holds what is due in it in this turn of the wheel or a later. */
  readonly #slots: (Deadline | undefined)[] = new Array(slotCount).fill(undefined);
  readonly #tick = (): void => this.#expire();
  #size = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The slot that the timer waits for. */
  #wakeAt = Number.POSITIVE_INFINITY;
  /** Everything due up to this slot has expired. */
  #done = -1;

  /** How many are kept. */
  get size(): number {
    return this.#size;
  }

  /** `owner` expires in `delayMs` from `nowMs` (performance.now) unless its deadline is dropped. */
  keep(owner: Expiring, delayMs: number, nowMs: number): Deadline {
    const due = Math.max(Math.ceil((nowMs + delayMs) / slotMs), this.#done + 1);
    const deadline = new Deadline(owner, due);
    const first = this.#ring(due % slotCount);
    deadline.previous = first.previous;
    deadline.next = first;
    first.previous.next = deadline;
    first.previous = deadline;
    this.#size += 1;
    if (due < this.#wakeAt) this.#wake(due, nowMs);
    return deadline;
  }

  /** Forgets a deadline that `keep` gave and that has not expired. */
  drop(deadline: Deadline): void {
    if (deadline.next === deadline) return;
    deadline.previous.next = deadline.next;
    deadline.next.previous = deadline.previous;
    deadline.previous = deadline;
    deadline.next = deadline;
    this.#size -= 1;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#wakeAt = Number.NEGATIVE_INFINITY;
  }

  #ring(slot: number): Deadline {
    const known = this.#slots[slot];
    if (known !== undefined) return known;
    const first = new Deadline(undefined, 0);
    this.#slots[slot] = first;
    return first;
  }

  #wake(slot: number, nowMs: number): void {
    clearTimeout(this.#timer);
    this.#wakeAt = slot;
    this.#timer = setTimeout(this.#tick, Math.max(1, Math.ceil(slot * slotMs - nowMs)));
  }

  #expire(): void {
    const nowMs = performance.now();
    const now = Math.floor(nowMs / slotMs);
    this.#wakeAt = Number.POSITIVE_INFINITY;
    const from = Math.max(this.#done + 1, now - slotCount + 1);
    this.#done = now;
    for (let slot = from; slot <= now; slot += 1) this.#expireSlot(this.#slots[slot % slotCount], now);
    if (this.#size > 0) this.#wake(Math.min(this.#nextSlot(now), this.#wakeAt), nowMs);
  }

  #expireSlot(first: Deadline | undefined, now: number): void {
    if (first === undefined) return;
    const expired: Deadline[] = [];
    for (let one = first.next; one !== first; one = one.next) if (one.due <= now) expired.push(one);
    for (const deadline of expired) {
      // One that expired before may have dropped it.
      if (deadline.next === deadline) continue;
      this.drop(deadline);
      deadline.owner?.expire();
    }
  }

  /** The next slot after `now` that holds something, of whatever turn of the wheel. */
  #nextSlot(now: number): number {
    for (let slot = now + 1; slot < now + slotCount; slot += 1) {
      const first = this.#slots[slot % slotCount];
      if (first !== undefined && first.next !== first) return slot;
    }
    return now + slotCount;
  }
}

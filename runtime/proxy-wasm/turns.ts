/** Work that enters a suspending guest; done when it returns or its promise resolves. It does not reject. */
export type Turn = () => unknown;

export interface TurnOptions {
  /** Told once when the time is up before the turn ended. Without it the turn waits as long as it takes. */
  readonly late?: () => void;
  /** In place of the usual limit, in milliseconds. */
  readonly limitMs?: number;
}

interface Entry {
  readonly turn: Turn;
  readonly since: number;
  readonly limitMs: number;
  late: (() => void) | undefined;
  dropped: boolean;
}

/**
 * Lets one call at a time into a guest that suspends: V8 would let a second one in. A turn's time includes its wait: when
 * it is up `late` is told, and a turn that did not begin is dropped. One that has run for its whole limit is an overrun.
 */
export class Turns {
  readonly #limitMs: number;
  readonly #overrun: () => void;
  #waiting: Entry[] = [];
  #running: Entry | undefined;
  #runningSince = 0;
  #timer: NodeJS.Timeout | undefined;
  #watchAt = Infinity;
  #closed = false;

  constructor(limitMs: number, overrun: () => void) {
    this.#limitMs = limitMs;
    this.#overrun = overrun;
  }

  /** Turns that run or wait. */
  get pending(): number {
    return this.#waiting.length + (this.#running === undefined || this.#closed ? 0 : 1);
  }

  /** Begins the turn at once when the guest is free. */
  take(turn: Turn, options: TurnOptions = {}): void {
    if (this.#closed) return;
    const limitMs = options.limitMs ?? this.#limitMs;
    const since = performance.now();
    this.#waiting.push({ turn, since, limitMs, late: options.late, dropped: false });
    this.#watchFrom(since, since + limitMs);
    // A turn that does not wait has run for as long as it has been there, to the microsecond.
    if (this.#running === undefined) this.#next(since);
  }

  /** No turn begins any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    clearTimeout(this.#timer);
  }

  #next(now: number): void {
    this.#running = this.#waiting.shift();
    if (this.#running === undefined) return;
    this.#runningSince = now;
    void this.#run(this.#running);
  }

  async #run(entry: Entry): Promise<void> {
    try {
      await entry.turn();
    } finally {
      this.#next(performance.now());
    }
  }

  /** One timer watches over all turns: at `at`, unless it comes earlier anyway. */
  #watchFrom(now: number, at: number): void {
    if (at >= this.#watchAt || this.#closed) return;
    clearTimeout(this.#timer);
    this.#watchAt = at;
    this.#timer = setTimeout(this.#watch, Math.max(1, Math.ceil(at - now)));
  }

  readonly #watch = (): void => {
    this.#watchAt = Infinity;
    const now = performance.now();
    const running = this.#running;
    if (running !== undefined) {
      if (now >= this.#runningSince + running.limitMs) {
        this.#overrun();
        return;
      }
      tellWhenLate(running, now);
    }
    for (const entry of this.#waiting) entry.dropped = tellWhenLate(entry, now);
    this.#waiting = this.#waiting.filter((entry) => !entry.dropped);
    this.#watchFrom(now, this.#nextDue());
  };

  #nextDue(): number {
    const dues = this.#waiting.map(dueOf);
    const running = this.#running;
    if (running !== undefined) dues.push(dueOf(running), this.#runningSince + running.limitMs);
    return Math.min(...dues);
  }
}

/** When the entry is late, if it was not told and would be. */
function dueOf({ late, since, limitMs }: Entry): number {
  return late === undefined ? Infinity : since + limitMs;
}

/** Whether the entry was told now that it is late. */
function tellWhenLate(entry: Entry, now: number): boolean {
  const { late } = entry;
  if (late === undefined || now < entry.since + entry.limitMs) return false;
  entry.late = undefined;
  late();
  return true;
}

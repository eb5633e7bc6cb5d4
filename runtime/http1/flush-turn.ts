/** What has something to write at the end of the event-loop turn. */
export interface Flushable {
  flush(): void;
}

/** Flushes what asked for it once in this turn of the event loop, so that a connection writes once a turn. */
export class FlushTurn {
  #waiting: Flushable[] = [];
  readonly #flushAll = (): void => {
    const due = this.#waiting;
    this.#waiting = [];
    for (const one of due) one.flush();
  };

  /** Asks for a flush; whoever asks again before it came is flushed twice. */
  add(one: Flushable): void {
    if (this.#waiting.push(one) === 1) setImmediate(this.#flushAll);
  }
}

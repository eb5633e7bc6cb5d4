/** The calls that began between two looks. */
export interface Era {
  running: number;
}

/** Counts calls by when they began, so that one can wait for those that are under way without minding later ones. */
export class CallsInFlight {
  /** Those that begin now. */
  #era: Era = { running: 0 };
  readonly #past = new Set<Era>();
  #waiting: (() => void)[] = [];

  /** A call began; what it gives back must be handed to `ended` once. */
  began(): Era {
    this.#era.running++;
    return this.#era;
  }

  ended(era: Era): void {
    era.running--;
    if (era.running > 0 || !this.#past.delete(era)) return;
    for (const look of this.#waiting.splice(0)) look();
  }

  /** Resolves when every call that is under way now has ended, at the latest after so many milliseconds. */
  async settled(longestMs: number): Promise<void> {
    if (this.#era.running > 0) {
      this.#past.add(this.#era);
      this.#era = { running: 0 };
    }
    const awaited = [...this.#past];
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, longestMs);
    const look = (): void => {
      if (awaited.every((era) => era.running === 0)) over.resolve();
      else this.#waiting.push(look);
    };
    look();
    await over.promise;
    clearTimeout(timer);
    this.#waiting = this.#waiting.filter((one) => one !== look);
  }
}

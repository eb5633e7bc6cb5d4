/** Tasks that take turns, in the order they came: one begins when the one before has ended, however that did. */
export class Turns {
  readonly #requireOpen: () => void;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** `requireOpen` throws what a task rejects with that is not to begin any more. */
  constructor(requireOpen: () => void) {
    this.#requireOpen = requireOpen;
  }

  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  take<Result>(task: () => Promise<Result>): Promise<Result> {
    this.#waiting++;
    const result = this.#last
      .then(() => {
        this.#requireOpen();
        return task();
      })
      .finally(() => this.#waiting--);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when the tasks so far have ended, or the time is over. */
  async ended(withinMs: number): Promise<void> {
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, withinMs);
    await Promise.race([this.#last, over.promise]);
    clearTimeout(timer);
  }
}

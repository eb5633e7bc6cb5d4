/** Lets guests start one by one: between two of them the event loop turns, so that many starts hold up nobody for long. */
export class StartTurns {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when one more start may begin: at once, unless another began in this turn of the event loop. */
  next(): Promise<void> {
    const turn = this.#last;
    this.#last = turn.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
    return turn;
  }
}

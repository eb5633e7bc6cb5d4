/** What can be held back. */
export interface Held {
  pause(): void;
  resume(): void;
}

/** Holds a source back as long as anybody wants that, and lets it go on when nobody does any more. */
export class Hold {
  readonly #source: Held;
  #holders = 0;
  #ended = false;

  constructor(source: Held) {
    this.#source = source;
  }

  get held(): boolean {
    return this.#holders > 0;
  }

  add(): void {
    if (this.#ended) return;
    this.#holders += 1;
    if (this.#holders === 1) this.#source.pause();
  }

  remove(): void {
    if (this.#holders === 0) return;
    this.#holders -= 1;
    if (this.#holders === 0) this.#source.resume();
  }

  /** Nobody holds the source back from now on. */
  end(): void {
    this.#ended = true;
    if (this.#holders === 0) return;
    this.#holders = 0;
    this.#source.resume();
  }
}

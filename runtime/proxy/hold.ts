/** Holds a source back as long as anybody wants that, and lets it go on when nobody does any more. */
export class Hold {
  readonly #pause: () => void;
  readonly #resume: () => void;
  #holders = 0;
  #ended = false;

  constructor(pause: () => void, resume: () => void) {
    this.#pause = pause;
    this.#resume = resume;
  }

  get held(): boolean {
    return this.#holders > 0;
  }

  add(): void {
    if (this.#ended) return;
    this.#holders += 1;
    if (this.#holders === 1) this.#pause();
  }

  remove(): void {
    if (this.#holders === 0) return;
    this.#holders -= 1;
    if (this.#holders === 0) this.#resume();
  }

  /** Nobody holds the source back from now on. */
  end(): void {
    this.#ended = true;
    if (this.#holders === 0) return;
    this.#holders = 0;
    this.#resume();
  }
}

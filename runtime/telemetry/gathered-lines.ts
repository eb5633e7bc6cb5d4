/** Characters that are handed on at once, and how long fewer wait. */
const enough = 64 * 1024;
const longestMs = 50;

/** Who takes the lines: `later` as it can, `now` before it returns. */
export interface LineTaker {
  later(text: string): void;
  now(text: string): void;
}

/**
 * Hands lines on together, at the latest when the process ends: a hand-over to the operating system costs as much as passing
 * on several requests.
 */
export class GatheredLines {
  readonly #taker: LineTaker;
  #text = "";
  #timer: NodeJS.Timeout | undefined;
  readonly #later = (): void => this.flush();
  readonly #now = (): void => this.flushSync();

  constructor(taker: LineTaker) {
    this.#taker = taker;
  }

  write(line: string): void {
    this.#text += line;
    if (this.#text.length >= enough) this.flush();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(this.#later, longestMs);
      this.#timer.unref();
      process.once("exit", this.#now);
    }
  }

  flush(): void {
    const text = this.#take();
    if (text !== "") this.#taker.later(text);
  }

  flushSync(): void {
    const text = this.#take();
    if (text !== "") this.#taker.now(text);
  }

  #take(): string {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      process.off("exit", this.#now);
      this.#timer = undefined;
    }
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

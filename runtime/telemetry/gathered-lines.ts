/** Characters that are handed on at once, as what a line takes that is not made yet, and how long fewer wait. */
const enough = 64 * 1024;
const lateLineLength = 400;
const longestMs = 50;

/** A line that is made when it is handed on. */
export interface LateLine {
  text(): string;
}

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
  #lines: (string | LateLine)[] = [];
  #length = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #later = (): void => this.flush();
  readonly #now = (): void => this.flushSync();

  constructor(taker: LineTaker) {
    this.#taker = taker;
  }

  write(line: string): void {
    this.#add(line, line.length);
  }

  writeLate(line: LateLine): void {
    this.#add(line, lateLineLength);
  }

  flush(): void {
    const text = this.#take();
    if (text !== "") this.#taker.later(text);
  }

  flushSync(): void {
    const text = this.#take();
    if (text !== "") this.#taker.now(text);
  }

  #add(line: string | LateLine, length: number): void {
    this.#lines.push(line);
    this.#length += length;
    if (this.#length >= enough) this.flush();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(this.#later, longestMs);
      this.#timer.unref();
      process.once("exit", this.#now);
    }
  }

  #take(): string {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      process.off("exit", this.#now);
      this.#timer = undefined;
    }
    const lines = this.#lines;
    this.#lines = [];
    this.#length = 0;
    let text = "";
    for (const line of lines) text += typeof line === "string" ? line : line.text();
    return text;
  }
}

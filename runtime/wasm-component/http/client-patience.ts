/** For so many deadlines a client may keep its guest waiting, all in all. */
const deadlines = 10;
/** And for so much longer by each byte that moved: 500 in a second are enough. */
const msPerByte = 2;

/** How long the client of one request may keep a guest waiting that has an instance to itself. Times are those of `performance.now()`. */
export class ClientPatience {
  #leftMs: number;
  #since: number;

  constructor(deadlineMs: number, now: number) {
    this.#leftMs = deadlines * deadlineMs;
    this.#since = now;
  }

  /** It is not the client that was waited for until now. */
  excuse(now: number): void {
    this.#since = now;
  }

  /** The client did something, and was waited for since it did something last, or was excused. False when it took too long with all before. */
  allows(bytes: number, now: number): boolean {
    this.#leftMs += bytes * msPerByte - (now - this.#since);
    this.#since = now;
    return this.#leftMs >= 0;
  }
}

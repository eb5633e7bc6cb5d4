/** How the server's time is read: it writes a time on what it is sent. Resolves to milliseconds since the epoch. */
type AskTime = () => Promise<number>;

const refreshMs = 30_000;

/**
 * The server's time, so that all who share a bucket agree when something in it ends, however their own clocks are set. It is
 * asked for now and then and carried on in between by the clock that is never set; it is off by half of the way to the server
 * and back at most. What is assumed: servers of a cluster agree about the time, and their clocks are not set back.
 */
export class NatsClock implements Disposable {
  readonly #ask: AskTime;
  readonly #timer: NodeJS.Timeout;
  /** The server's time less that of `performance.now()`. */
  #offsetMs: number;

  private constructor(ask: AskTime, offsetMs: number) {
    this.#ask = ask;
    this.#offsetMs = offsetMs;
    this.#timer = setInterval(() => void this.#refresh(), refreshMs).unref();
  }

  static async open(ask: AskTime): Promise<NatsClock> {
    return new NatsClock(ask, await measure(ask));
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return performance.now() + this.#offsetMs;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** While the server is away, what was known of its time goes on. */
  async #refresh(): Promise<void> {
    this.#offsetMs = await measure(this.#ask).catch(() => this.#offsetMs);
  }
}

async function measure(ask: AskTime): Promise<number> {
  const askedAt = performance.now();
  const time = await ask();
  return time - (askedAt + performance.now()) / 2;
}

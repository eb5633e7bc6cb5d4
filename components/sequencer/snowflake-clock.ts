/** https://github.com/twitter-archive/snowflake/tree/b3f6a3c: 41 bits of milliseconds, 10 of the worker, 12 that count. */
const countBits = 12n;
const workerBits = 10n;
const countsPerMs = 2 ** Number(countBits);
const longestMs = 2 ** 41;

/** Worker ids are below this. */
export const workerIds = 2 ** Number(workerBits);

/** What is to be waited for, or cannot be waited for. */
export type NoId =
  | { readonly why: "all ids of this millisecond are taken" }
  | { readonly why: "the clock went back"; readonly byMs: number }
  | { readonly why: "the clock is out of the range of ids" };

/** Makes the ids of one worker. Each is larger than the one before, and of a later millisecond than the clock was made in. */
export class SnowflakeClock {
  readonly #worker: bigint;
  #lastMs: number;
  #count = countsPerMs;

  constructor(worker: number, sinceMs: number) {
    this.#worker = BigInt(worker) << countBits;
    this.#lastMs = sinceMs;
  }

  /** The next id; `sinceMs` is the time since the first id there could be. */
  next(sinceMs: number): bigint | NoId {
    if (sinceMs < 0 || sinceMs >= longestMs) return { why: "the clock is out of the range of ids" };
    if (sinceMs < this.#lastMs) return { why: "the clock went back", byMs: this.#lastMs - sinceMs };
    if (sinceMs > this.#lastMs) this.#count = 0;
    else if (this.#count === countsPerMs) return { why: "all ids of this millisecond are taken" };
    this.#lastMs = sinceMs;
    return (BigInt(sinceMs) << (workerBits + countBits)) | this.#worker | BigInt(this.#count++);
  }
}

/** The clocks of all workers that a process is: two components of one worker never give the same id, nor do one and its successor. */
export class SnowflakeClocks implements AsyncDisposable {
  readonly #clocks = new Map<string, SnowflakeClock>();

  /** Ids count their time from `epochMs`. */
  of(worker: number, epochMs: number): SnowflakeClock {
    const id = `${worker} ${epochMs}`;
    const clock = this.#clocks.get(id) ?? new SnowflakeClock(worker, Date.now() - epochMs);
    this.#clocks.set(id, clock);
    return clock;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clocks.clear();
  }
}

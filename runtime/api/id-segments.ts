/** Takes `count` consecutive ids and resolves to the first of them. */
export type Reserve = (count: number) => Promise<bigint>;

const firstSegment = 16;
const largestSegment = 1024;

interface Segment {
  next: bigint;
  /** The first id after the segment. */
  readonly end: bigint;
  readonly size: number;
}

/**
 * Gives the ids of one key out of segments that were reserved at once, so that most ids cost no call to the store. The
 * following segment is fetched while half of the current one is left. Segments double from 16 ids to 1024, so a key
 * that is seldom used wastes little: what was reserved and not given is lost when the process ends.
 */
export class IdSegments {
  readonly #reserve: Reserve;
  #current: Segment = { next: 0n, end: 0n, size: 0 };
  #following: Segment | undefined;
  #fetching: Promise<void> | undefined;

  constructor(reserve: Reserve) {
    this.#reserve = reserve;
  }

  /** The next id. Rejects with the store's error when it has to wait for the store. */
  async next(): Promise<bigint> {
    for (;;) {
      const id = this.#take();
      if (id !== undefined) return id;
      await this.#fetch();
    }
  }

  #take(): bigint | undefined {
    if (this.#current.next === this.#current.end) {
      if (this.#following === undefined) return undefined;
      this.#current = this.#following;
      this.#following = undefined;
    }
    const id = this.#current.next++;
    const left = Number(this.#current.end - this.#current.next);
    if (left <= this.#current.size / 2 && this.#following === undefined) {
      // A failure here is not lost: whoever finds nothing left fetches again and gets it.
      this.#fetch().catch(() => undefined);
    }
    return id;
  }

  /** One fetch at a time, whoever asks. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #load(): Promise<void> {
    const size = Math.min(largestSegment, Math.max(firstSegment, this.#current.size * 2));
    const first = await this.#reserve(size);
    this.#following = { next: first, end: first + BigInt(size), size };
  }
}

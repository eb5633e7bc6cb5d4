import { typeOf } from "./kafka-failure.ts";

/** How long a delivery may go on while the group waits to come together anew. */
const graceMs = 5_000;

const comesTogether = new Set(["REBALANCE_IN_PROGRESS", "NOT_COORDINATOR_FOR_GROUP"]);
const isOut = new Set(["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID"]);

/** Signs of life to the group while messages are worked on, and what it answers. */
export class KafkaHeartbeat implements Disposable {
  readonly #beat: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  readonly #leaving = new AbortController();
  readonly #abandoned = new AbortController();
  #grace: NodeJS.Timeout | undefined;
  #lost: unknown;

  constructor(beat: () => Promise<void>, intervalMs: number) {
    this.#beat = beat;
    this.#timer = setInterval(() => void this.#tick(), Math.ceil(intervalMs / 2)).unref();
  }

  /** Aborts when no further message is to be begun, since the group comes together anew. */
  get isLeaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Aborts when deliveries are to be given up: others have the partition, or wait for it. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  /** The error by which the group said so; undefined while all is well. */
  get lost(): unknown {
    return this.#lost;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    clearTimeout(this.#grace);
  }

  async #tick(): Promise<void> {
    try {
      await this.#beat();
    } catch (error) {
      const type = typeOf(error);
      // Of a broker that is away hears who fetches from it.
      if (!comesTogether.has(type) && !isOut.has(type)) return;
      this.#lost ??= error;
      this.#leaving.abort();
      if (isOut.has(type)) this.#abandoned.abort();
      else this.#grace ??= setTimeout(() => this.#abandoned.abort(), graceMs).unref();
    }
  }
}

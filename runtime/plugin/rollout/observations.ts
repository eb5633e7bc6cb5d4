import type { ObservedStreams } from "../status.ts";
import { Latencies } from "./latencies.ts";

/** Counts how the streams of one version end. */
export class Observations {
  #latencies = new Latencies();
  #streams = 0;
  #failed = 0;
  #traps = 0;

  /** A stream has ended; a connection has no time that tells anything of the plugin. */
  ended(hasFailed: boolean, ms: number | undefined): void {
    this.#streams++;
    if (hasFailed) this.#failed++;
    if (ms !== undefined) this.#latencies.add(ms);
  }

  trapped(): void {
    this.#traps++;
  }

  /** Begins to count anew. */
  reset(): void {
    this.#latencies = new Latencies();
    this.#streams = 0;
    this.#failed = 0;
    this.#traps = 0;
  }

  /** Streams that took longer than that. */
  slowerThan(ms: number): number {
    return this.#latencies.above(ms);
  }

  get seen(): ObservedStreams {
    return {
      streams: this.#streams,
      failed: this.#failed,
      traps: this.#traps,
      p99Ms: this.#latencies.quantile(0.99),
    };
  }
}

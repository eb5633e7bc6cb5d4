import type { InstanceCounters } from "./contract.ts";
import type { InstancePool } from "./pool.ts";

/** What one plugin has done since the process started, on every version of it. */
export interface PluginTotals {
  readonly instances: number;
  readonly streams: number;
  readonly calls: number;
  readonly traps: number;
  readonly fuel: number;
}

/** Adds up the pools that are there and the instances that are gone, so that no counter ever goes back. */
export class PluginTally {
  readonly #pools = new Set<InstancePool>();
  #calls = 0;
  #fuel = 0;
  #traps = 0;

  join(pool: InstancePool): void {
    this.#pools.add(pool);
  }

  /** The pool has no instances any more. */
  leave(pool: InstancePool): void {
    this.#pools.delete(pool);
  }

  gone({ calls, fuel }: InstanceCounters): void {
    this.#calls += calls;
    this.#fuel += fuel;
  }

  trapped(): void {
    this.#traps++;
  }

  totals(): PluginTotals {
    let [instances, streams, calls, fuel] = [0, 0, this.#calls, this.#fuel];
    for (const { counters } of this.#pools) {
      instances += counters.instances;
      streams += counters.streams;
      calls += counters.calls;
      fuel += counters.fuel;
    }
    return { instances, streams, calls, traps: this.#traps, fuel };
  }
}

import type { InstanceCounters } from "./contract.ts";
import type { InstancePool } from "./pool.ts";
import type { PluginTotals } from "./status.ts";

interface Peak {
  readonly at: number;
  readonly share: number;
}

const peaksCountMs = 60_000;

/** Adds up the pools that are there and the instances that are gone, so that no counter ever goes back. */
export class PluginTally {
  readonly #now: () => number;
  /** With the most linear memory that their instances may have. */
  readonly #pools = new Map<InstancePool, number>();
  #calls = 0;
  #fuel = 0;
  #traps = 0;
  #created = 0;
  #reloads = 0;
  /** The largest of the instances that are gone since the last look. */
  #gonePeak = 0;
  /** In the order of time, each smaller than the one before. */
  #peaks: Peak[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  join(pool: InstancePool, memoryLimitBytes: number): void {
    this.#pools.set(pool, memoryLimitBytes);
  }

  /** The pool has no instances any more. */
  leave(pool: InstancePool): void {
    this.#pools.delete(pool);
  }

  started(reason: "wanted" | "crash"): void {
    this.#created++;
    if (reason === "crash") this.#reloads++;
  }

  gone({ calls, fuel, peakShare }: InstanceCounters): void {
    this.#calls += calls;
    this.#fuel += fuel;
    this.#gonePeak = Math.max(this.#gonePeak, peakShare);
  }

  trapped(): void {
    this.#traps++;
  }

  totals(): PluginTotals {
    let [instances, streams, calls, fuel, memoryBytes, largestMemoryBytes, memoryLimitBytes] = [
      0,
      0,
      this.#calls,
      this.#fuel,
      0,
      0,
      0,
    ];
    let peak = this.#gonePeak;
    const memories = new Set<WebAssembly.Memory>();
    for (const [pool, limit] of this.#pools) {
      memoryLimitBytes = Math.max(memoryLimitBytes, limit);
      for (const { streams: open, counters, memory } of pool.instances()) {
        instances++;
        streams += open;
        calls += counters.calls;
        fuel += counters.fuel;
        peak = Math.max(peak, counters.peakShare);
        counters.peakShare = 0;
        if (memory !== undefined) memories.add(memory);
      }
    }
    for (const { buffer } of memories) {
      memoryBytes += buffer.byteLength;
      largestMemoryBytes = Math.max(largestMemoryBytes, buffer.byteLength);
    }
    return {
      instances,
      streams,
      calls,
      traps: this.#traps,
      fuel,
      created: this.#created,
      reloads: this.#reloads,
      memoryBytes,
      largestMemoryBytes,
      memoryLimitBytes,
      budgetShare: this.#peakOfLastMinute(peak),
    };
  }

  /** Takes what was the largest since the last look, and gives the largest of the last minute. */
  #peakOfLastMinute(share: number): number {
    const now = this.#now();
    this.#gonePeak = 0;
    const peaks = this.#peaks.filter(({ at, share: earlier }) => now - at < peaksCountMs && earlier > share);
    if (share > 0) peaks.push({ at: now, share });
    this.#peaks = peaks;
    return peaks[0]?.share ?? 0;
  }
}

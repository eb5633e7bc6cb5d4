import { quantile } from "../bench/support/rounds.ts";

/** Resident memory at a moment. */
export interface MemorySample {
  readonly seconds: number;
  readonly bytes: number;
}

export interface Flatness {
  readonly isFlat: boolean;
  /** What the slope makes of the time that was looked at, and the most that counts as flat. */
  readonly grownMb: number;
  readonly toleratedMb: number;
  readonly medianMb: number;
}

/** The caches fill, the code is compiled and the heap finds its size in this part of the time. */
const warmUp = 0.3;
const tolerated = { part: 0.05, leastMb: 8 } as const;
const megabyte = 1024 ** 2;

/**
 * Whether memory has stopped to grow: the median of the slopes between all pairs of samples after the warm-up (Theil–Sen),
 * which neither a collection of garbage nor a single peak can tilt.
 */
export function flatness(samples: readonly MemorySample[]): Flatness {
  const end = samples.at(-1)?.seconds ?? 0;
  const late = samples.filter(({ seconds }) => seconds >= end * warmUp);
  const slopes = late.flatMap((a, index) =>
    late.slice(index + 1).map((b) => (b.bytes - a.bytes) / (b.seconds - a.seconds)),
  );
  const medianMb = quantile(late.map(({ bytes }) => bytes)) / megabyte;
  const grownMb = (quantile(slopes) * end * (1 - warmUp)) / megabyte;
  const toleratedMb = Math.max(tolerated.leastMb, medianMb * tolerated.part);
  return { isFlat: grownMb <= toleratedMb, grownMb, toleratedMb, medianMb };
}

/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number;
  /** One of the values, of which there is at least one. */
  of<T>(values: readonly T[]): T;
}

/** The generator mulberry32. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const below = (bound: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
  return {
    below,
    of(values) {
      for (const value of values.slice(below(values.length))) return value;
      throw new RangeError("there is nothing to choose from");
    },
  };
}

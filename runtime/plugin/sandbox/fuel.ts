/**
 * Fuel that stands for a millisecond: a budget of 50 ms is 50 of these. Fuel counts work, not time, so that the same input
 * always costs the same; the measurement is in docs/decisions/0002-metering-by-rewriting.md.
 */
export const fuelPerMillisecond = 1_000_000;

/** What the host charges a guest for calling it: `hostcall`, and `hostcallByte` for each byte that goes in or out. */
export const fuelCosts = {
  hostcall: 500,
  hostcallByte: 1,
} as const;

import { RuntimeError } from "../error.ts";

/** The largest id: a signed 64-bit integer, as every backend and the API have it. */
export const largestId = 2n ** 63n - 1n;

/** The error of a reservation that would go past the largest id. */
export function sequenceExhausted(sequencer: string, key: string): RuntimeError {
  const message = `sequence '${key}' of sequencer '${sequencer}' has too few ids left below ${largestId}; use another key`;
  return new RuntimeError("OUT_OF_RANGE", "SEQUENCE_EXHAUSTED", message);
}

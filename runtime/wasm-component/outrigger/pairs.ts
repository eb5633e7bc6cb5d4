import type { Metadata } from "../../plugin/uniform-api.ts";

/** Names with their values, as the world has them. */
export type Pairs = readonly (readonly [name: string, value: string])[];

export const metadataOf = (pairs: Pairs): Metadata => Object.fromEntries(pairs);

export const pairsOf = (metadata: Metadata): Pairs => Object.entries(metadata);

/** Characters in all, for what they cost. */
export function sizeOfPairs(pairs: Pairs): number {
  let size = 0;
  for (const [name, value] of pairs) size += name.length + value.length;
  return size;
}

/** The time that a proxy adds to a call: direct and proxied calls take turns, one call at a time. */
import { quantile } from "./rounds.ts";
import type { StateLoad } from "./state-call.ts";

const rounds = 24;
const callsOfTurn = 1000;
/** Calls at the begin of a connection, while HPACK tables fill. */
const uncounted = 50;
/** The rounds in so many groups: how much their results differ is the spread. */
const groups = 3;

export interface Addresses {
  readonly direct: string;
  readonly ours: string;
  readonly rival: string;
}

/** Microseconds: a direct call, what each proxy adds to it, and the ratio of the two. */
export interface Added {
  readonly direct: number;
  readonly ours: number;
  readonly rival: number;
  readonly ratio: number;
  readonly spread: readonly [number, number];
}

export interface AddedLatency {
  /** Of the quantile; the median of the rounds. */
  at(fraction: number): Added;
}

type Turns = Readonly<Record<keyof Addresses, readonly number[]>>;

export async function addedLatency(load: StateLoad, addresses: Addresses): Promise<AddedLatency> {
  const turns: Turns[] = [];
  const turn = async (address: string): Promise<number[]> =>
    (await load.latencies(address, callsOfTurn + uncounted)).slice(uncounted);
  for (const address of Object.values(addresses)) await turn(address);
  for (let round = 0; round < rounds; round++) {
    turns.push({
      direct: await turn(addresses.direct),
      ours: await turn(addresses.ours),
      rival: await turn(addresses.rival),
    });
  }
  return {
    at(fraction) {
      const parts = Array.from({ length: groups }, (_, group) => turns.filter((_, index) => index % groups === group));
      const ratios = parts.map((part) => addedBy(part, fraction).ratio);
      return { ...addedBy(turns, fraction), spread: [Math.min(...ratios), Math.max(...ratios)] };
    },
  };
}

function addedBy(turns: readonly Turns[], fraction: number): Omit<Added, "spread"> {
  const median = (of: keyof Addresses): number => quantile(turns.map((turn) => quantile(turn[of], fraction)));
  const direct = median("direct");
  const ours = median("ours") - direct;
  const rival = median("rival") - direct;
  return { direct, ours, rival, ratio: ours / rival };
}

import type { ObservedStreams } from "../status.ts";
import type { RolloutPolicy } from "./policy.ts";

export type Verdict = { readonly verdict: "undecided" } | { readonly verdict: "good" | "bad"; readonly reason: string };

/** A version is not slow for less than this, in milliseconds, nor for fewer streams: a pause of the process is not its fault. */
const leastSlowerMs = 5;
const fewestSlow = 10;

export interface Observed {
  /** Since the trial began. */
  readonly elapsedMs: number;
  /** How many streams of the version on trial took longer than so many milliseconds. */
  readonly slowerThan: (ms: number) => number;
}

/**
 * Holds the version on trial against the stable one. Crashes and failed streams tell against it as soon as they are too many;
 * its latency, which suffers from every cold start, is looked at when the window is over.
 */
export function judge(
  policy: RolloutPolicy,
  stable: ObservedStreams,
  candidate: ObservedStreams,
  { elapsedMs, slowerThan }: Observed,
): Verdict {
  if (candidate.traps > policy.traps) {
    return bad(`it crashed ${times(candidate.traps)}; its policy allows ${policy.traps}`);
  }
  if (candidate.streams < policy.minimumStreams) return { verdict: "undecided" };
  const rate = failureRate(candidate);
  const usual = failureRate(stable);
  if (rate - usual > policy.errorRate) {
    const allowed = `its policy allows ${percent(policy.errorRate)} more`;
    return bad(
      `${percent(rate)} of its ${candidate.streams} streams failed, ${percent(usual)} of the stable version's; ${allowed}`,
    );
  }
  if (elapsedMs < policy.window) return { verdict: "undecided" };
  const { p99Ms } = candidate;
  const limitMs = Math.max(policy.latency * stable.p99Ms, stable.p99Ms + leastSlowerMs);
  const isSlow = p99Ms > limitMs && slowerThan(limitMs) >= fewestSlow;
  if (isSlow && stable.streams >= policy.minimumStreams) {
    const allowed = `its policy allows ${policy.latency} times as much`;
    return bad(
      `the 99th percentile of its streams took ${round(p99Ms)} ms, the stable version's ${round(stable.p99Ms)} ms; ${allowed}`,
    );
  }
  // It may be slow: a stable version that gets streams at all says so as soon as it has had enough of them.
  if (isSlow && stable.streams > 0) return { verdict: "undecided" };
  const reason = `${percent(rate)} of its ${candidate.streams} streams failed, ${percent(usual)} of the stable version's`;
  return { verdict: "good", reason };
}

const bad = (reason: string): Verdict => ({ verdict: "bad", reason });
const failureRate = ({ streams, failed }: ObservedStreams): number => (streams === 0 ? 0 : failed / streams);
const percent = (share: number): string => `${round(share * 100)} %`;
const round = (value: number): string => String(Math.round(value * 100) / 100);
const times = (count: number): string => (count === 1 ? "once" : `${count} times`);

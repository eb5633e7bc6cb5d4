import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ObservedStreams } from "../status.ts";
import { judge } from "./judge.ts";
import { type RolloutPolicy, rolloutPolicy } from "./policy.ts";

const policy: RolloutPolicy = rolloutPolicy.parse({ canary: { percent: 5 } });
const seen = (given: Partial<ObservedStreams> = {}): ObservedStreams => ({
  streams: 1_000,
  failed: 0,
  traps: 0,
  p99Ms: 10,
  ...given,
});
const window = policy.window;

const cases: readonly (readonly [
  what: string,
  stable: ObservedStreams,
  candidate: ObservedStreams,
  elapsedMs: number,
  verdict: RegExp,
])[] = [
  ["that did as well as the stable one", seen(), seen(), window, /^good: 0 % of its 1000 streams failed/],
  ["whose window is not over", seen(), seen(), window - 1, /^undecided$/],
  ["with too few streams", seen(), seen({ streams: 99 }), window * 9, /^undecided$/],
  ["with too few streams that all failed", seen(), seen({ streams: 99, failed: 99 }), window, /^undecided$/],
  ["that crashed", seen(), seen({ streams: 0, traps: 1 }), 0, /^bad: it crashed once; its policy allows 0$/],
  ["that failed at once", seen(), seen({ streams: 100, failed: 5 }), 1, /^bad: 5 % of its 100 streams failed, 0 %/],
  ["that fails as much as the stable one", seen({ failed: 200 }), seen({ failed: 205 }), window, /^good/],
  ["that fails more than the stable one", seen({ failed: 200 }), seen({ failed: 211 }), 1, /^bad: 21.1 % .*20 %/],
  ["that is slow", seen(), seen({ p99Ms: 20 }), window, /^bad: the 99th percentile .*20 ms, .*10 ms; .*1.5 times/],
  ["that is slow while its window lasts", seen(), seen({ p99Ms: 20 }), 1, /^undecided$/],
  ["that is slower by noise", seen({ p99Ms: 1 }), seen({ p99Ms: 3 }), window, /^good/],
  ["with 5 slow streams of 100", seen(), seen({ streams: 100, p99Ms: 20 }), window, /^good/],
  ["that may be slow, beside too few streams", seen({ streams: 9 }), seen({ p99Ms: 90 }), window * 9, /^undecided$/],
  ["that is not slow, beside too few streams", seen({ streams: 9 }), seen(), window, /^good/],
  ["that gets every stream", seen({ streams: 0, p99Ms: 0 }), seen({ p99Ms: 90 }), window, /^good/],
];

describe("judging a version on trial", () => {
  for (const [what, stable, candidate, elapsedMs, expected] of cases) {
    it(`one ${what}`, () => {
      const slowerThan = (ms: number): number => (candidate.p99Ms > ms ? candidate.streams / 20 : 0);
      const verdict = judge(policy, stable, candidate, { elapsedMs, slowerThan });
      assert.match("reason" in verdict ? `${verdict.verdict}: ${verdict.reason}` : verdict.verdict, expected);
    });
  }
});

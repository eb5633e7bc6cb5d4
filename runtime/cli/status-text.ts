import type { ObservedStreams, PluginStatus, TrialOutcome, TrialStatus } from "../plugin/status.ts";
import { printable, shortDigest } from "./printable.ts";

export const jsonText = (value: unknown): string => JSON.stringify(value, undefined, 2);

/** What serves under a name, and what is on trial beside it: a line each. */
export function serviceText({ name, version, digest, state, reason, unkept, trial }: PluginStatus): string {
  const lines: string[] = [];
  if (state === "serving") lines.push(`${name} ${version} is stable (${shortDigest(digest)})`);
  else if (state !== "staged") lines.push(`${name} ${version} is ${state}${reason === undefined ? "" : `: ${reason}`}`);
  if (trial !== undefined) lines.push(`${name} ${trial.version} is ${trialText(trial)} (${shortDigest(trial.digest)})`);
  if (unkept !== undefined) lines.push(`${name}: ${unkept}`);
  return lines.map(printable).join("\n");
}

/** Such as `on trial with 10 % of the streams`. */
export function trialText({ phase, percent, promotion }: TrialStatus): string {
  if (phase === "staged") return "staged, and takes no streams until it is resumed or promoted";
  const share = percent === 0 ? "the streams with its header or cookie" : `${percent} % of the streams`;
  const byHand = promotion === "manual" ? ", to be promoted by hand" : "";
  return phase === "paused" ? `paused with ${share}` : `on trial with ${share}${byHand}`;
}

/** Such as `120 streams, 1 failed, p99 3.1 ms`. */
export const observedText = ({ streams, failed, traps, p99Ms }: ObservedStreams): string =>
  `${streams} streams, ${failed} failed${traps === 0 ? "" : `, ${traps} crashes`}, p99 ${p99Ms.toFixed(1)} ms`;

/** Such as `rolled back by rollout: 5 % of its 120 streams failed`. */
export const outcomeText = ({ outcome, by, reason }: TrialOutcome): string =>
  `${outcome}${by === "rollout" ? " by itself" : ` by ${by}`}${reason === undefined ? "" : `: ${reason}`}`;

/** A moment as it is shown. */
export const timeText = (at: number): string => new Date(at).toISOString();

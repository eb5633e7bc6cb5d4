import type { DeployAction, PluginRecord, VersionRecord } from "../versions.ts";
import type { RolloutPolicy } from "./policy.ts";

interface Kept {
  /** Versions that may be gone back to, the newest first. */
  readonly previous: readonly VersionRecord[];
}

interface OnTrial extends Kept {
  readonly candidate: VersionRecord;
  readonly policy: RolloutPolicy;
}

/** What is deployed under one name. A version has its share of the traffic only beside a stable one. */
export type RolloutState =
  | { readonly phase: "none" }
  | (Kept & { readonly phase: "stable"; readonly stable: VersionRecord })
  | (OnTrial & { readonly phase: "staged"; readonly stable: VersionRecord | undefined })
  | (OnTrial & { readonly phase: "canary" | "paused"; readonly stable: VersionRecord });

type TrialState = Extract<RolloutState, OnTrial>;

export type RolloutEvent =
  | { readonly type: "deployed"; readonly version: VersionRecord; readonly policy: RolloutPolicy }
  | { readonly type: "promote" | "abort" | "pause" | "resume" }
  | { readonly type: "removed" }
  /** `to` is a version or a digest; without it, the version before. */
  | { readonly type: "rollback"; readonly to?: string }
  | { readonly type: "verdict"; readonly verdict: "good" | "bad" | "undecided" }
  /** The version on trial cannot go on: it crashed too often, lost its grants or refuses a configuration. */
  | { readonly type: "unfit" }
  /** What was kept is brought back at the start. */
  | { readonly type: "restored"; readonly record: PluginRecord };

/** What is to be done to bring a state about, in order. A version that is not running is started before any of it. */
export type RolloutEffect =
  /** The version on trial is none any more; unless it is promoted, it is gone. */
  | {
      readonly effect: "end";
      readonly candidate: VersionRecord;
      readonly outcome: "promoted" | "rolled back" | "aborted";
    }
  /** The version takes all streams that begin; the one before it drains. */
  | { readonly effect: "switch"; readonly to: VersionRecord }
  /** The version is on trial in that phase. */
  | {
      readonly effect: "try";
      readonly candidate: VersionRecord;
      readonly phase: TrialState["phase"];
      readonly policy: RolloutPolicy;
    }
  /** Nothing takes streams any more. */
  | { readonly effect: "remove" }
  /** A line of the history. */
  | { readonly effect: "record"; readonly action: DeployAction; readonly version: VersionRecord };

export type RolloutStep =
  | { readonly state: RolloutState; readonly effects: readonly RolloutEffect[] }
  /** Why it cannot be; goes on after "plugin 'NAME'". */
  | { readonly refused: string };

/** What follows from the event in that state; `keep` is how many previous versions there may be. */
export function next(state: RolloutState, event: RolloutEvent, keep: number): RolloutStep {
  if (event.type === "deployed") return deployed(state, event.version, event.policy, keep);
  if (event.type === "restored") return restored(state, event.record);
  if (state.phase === "none") return { refused: "is not deployed" };
  if (event.type === "removed") return removed(state);
  if (event.type === "rollback") return rolledBack(state, event.to, keep);
  if (state.phase === "stable") return { refused: "has no version on trial" };
  switch (event.type) {
    case "promote":
      return promoted(state, "promote", keep);
    case "abort":
      return ended(state, "aborted", "abort");
    case "unfit":
      return ended(state, "rolled back", "rollback");
    case "pause":
      return paused(state);
    case "resume":
      return resumed(state, keep);
    case "verdict":
      return judged(state, event.verdict, keep);
  }
}

/** Whether both are the same module with the same manifest. */
export const isSameVersion = (left: VersionRecord, right: VersionRecord): boolean =>
  left.digest === right.digest && left.manifest === right.manifest;

/** What is kept of a state. */
export function recordOf(plugin: string, state: RolloutState): PluginRecord {
  switch (state.phase) {
    case "none":
      return { plugin, stable: undefined, trial: undefined, previous: [] };
    case "stable":
      return { plugin, stable: state.stable, trial: undefined, previous: state.previous };
    default: {
      const { stable, candidate: version, policy, phase, previous } = state;
      return { plugin, stable, trial: { version, policy, phase }, previous };
    }
  }
}

function deployed(state: RolloutState, version: VersionRecord, policy: RolloutPolicy, keep: number): RolloutStep {
  const before = endedIn(state, "aborted", "abort");
  const stable = state.phase === "none" ? undefined : state.stable;
  const previous = state.phase === "none" ? [] : state.previous;
  const recorded: RolloutEffect = { effect: "record", action: "deploy", version };
  const isAgain = stable !== undefined && isSameVersion(stable, version);
  if (!isAgain && policy.stagedOnly) {
    const staged: TrialState = { phase: "staged", stable, candidate: version, policy, previous };
    return { state: staged, effects: [...before, tried(staged), recorded] };
  }
  if (!isAgain && stable !== undefined && policy.canary !== undefined) {
    const canary: TrialState = { phase: "canary", stable, candidate: version, policy, previous };
    return { state: canary, effects: [...before, tried(canary), recorded] };
  }
  const effects: RolloutEffect[] = [...before, { effect: "switch", to: version }, recorded];
  return { state: withStable(version, isAgain ? undefined : stable, previous, keep), effects };
}

function restored(state: RolloutState, { stable, trial, previous }: PluginRecord): RolloutStep {
  if (state.phase !== "none") return { refused: "is deployed already" };
  const switched: RolloutEffect[] = stable === undefined ? [] : [{ effect: "switch", to: stable }];
  if (trial === undefined) {
    const next: RolloutState = stable === undefined ? { phase: "none" } : { phase: "stable", stable, previous };
    return { state: next, effects: switched };
  }
  const { version: candidate, policy, phase } = trial;
  const next: TrialState =
    stable === undefined || phase === "staged"
      ? { phase: "staged", stable, candidate, policy, previous }
      : { phase, stable, candidate, policy, previous };
  return { state: next, effects: [...switched, tried(next)] };
}

function removed(state: Exclude<RolloutState, { phase: "none" }>): RolloutStep {
  const version = state.stable ?? (state.phase === "staged" ? state.candidate : undefined);
  const recorded: RolloutEffect[] = version === undefined ? [] : [{ effect: "record", action: "undeploy", version }];
  return {
    state: { phase: "none" },
    effects: [...endedIn(state, "aborted", "abort"), { effect: "remove" }, ...recorded],
  };
}

function rolledBack(
  state: Exclude<RolloutState, { phase: "none" }>,
  to: string | undefined,
  keep: number,
): RolloutStep {
  const { stable, previous } = state;
  const isTrial = state.phase !== "stable";
  if (isTrial && stable !== undefined && (to === undefined || isCalled(stable, to))) {
    return ended(state, "rolled back", "rollback");
  }
  if (stable === undefined) return { refused: "has no version to go back to" };
  if (to !== undefined && isCalled(stable, to)) return { refused: `runs version ${stable.version} already` };
  const target = to === undefined ? previous[0] : previous.find((version) => isCalled(version, to));
  if (target === undefined) return { refused: noTarget(stable, previous, to) };
  return {
    state: withStable(target, stable, previous, keep),
    effects: [
      ...endedIn(state, "rolled back", "rollback"),
      { effect: "switch", to: target },
      { effect: "record", action: "rollback", version: target },
    ],
  };
}

const isCalled = ({ version, digest }: VersionRecord, name: string): boolean => version === name || digest === name;

function noTarget(stable: VersionRecord, previous: readonly VersionRecord[], to: string | undefined): string {
  if (previous.length === 0) return `has no version before ${stable.version} to go back to`;
  return `keeps no version '${to}' to go back to; kept: ${previous.map(({ version }) => version).join(", ")}`;
}

function promoted({ stable, candidate, previous }: TrialState, action: DeployAction, keep: number): RolloutStep {
  return {
    state: withStable(candidate, stable, previous, keep),
    effects: [
      { effect: "end", candidate, outcome: "promoted" },
      { effect: "switch", to: candidate },
      { effect: "record", action, version: candidate },
    ],
  };
}

function ended(state: TrialState, outcome: "rolled back" | "aborted", action: DeployAction): RolloutStep {
  const { stable, previous } = state;
  const next: RolloutState = stable === undefined ? { phase: "none" } : { phase: "stable", stable, previous };
  return { state: next, effects: endedIn(state, outcome, action) };
}

function endedIn(state: RolloutState, outcome: "rolled back" | "aborted", action: DeployAction): RolloutEffect[] {
  if (state.phase === "none" || state.phase === "stable") return [];
  const { candidate } = state;
  return [
    { effect: "end", candidate, outcome },
    { effect: "record", action, version: candidate },
  ];
}

function paused(state: TrialState): RolloutStep {
  const { phase, candidate } = state;
  if (phase === "paused") return { refused: `has its trial of version ${candidate.version} paused already` };
  if (phase === "staged") return { refused: `has version ${candidate.version} staged: there is no trial to pause` };
  return inPhase({ ...state, phase: "paused" }, "pause");
}

function resumed(state: TrialState, keep: number): RolloutStep {
  const { phase, stable, candidate, policy } = state;
  if (phase === "canary") return { refused: `has its trial of version ${candidate.version} running already` };
  if (stable === undefined || policy.canary === undefined) return promoted(state, "resume", keep);
  return inPhase({ ...state, stable, phase: "canary" }, "resume");
}

function judged(state: TrialState, verdict: "good" | "bad" | "undecided", keep: number): RolloutStep {
  if (state.phase !== "canary") return { refused: "has no version on trial that is judged now" };
  if (verdict === "bad") return ended(state, "rolled back", "rollback");
  if (verdict === "good" && state.policy.promotion === "automatic") return promoted(state, "promote", keep);
  return { state, effects: [] };
}

function inPhase(state: TrialState, action: DeployAction): RolloutStep {
  return { state, effects: [tried(state), { effect: "record", action, version: state.candidate }] };
}

const tried = ({ candidate, phase, policy }: TrialState): RolloutEffect => ({
  effect: "try",
  candidate,
  phase,
  policy,
});

/** That version as the stable one, the one before it as the newest of those that may be gone back to. */
function withStable(
  stable: VersionRecord,
  before: VersionRecord | undefined,
  previous: readonly VersionRecord[],
  keep: number,
): RolloutState {
  const older = before === undefined ? previous : [before, ...previous];
  return { phase: "stable", stable, previous: older.filter((one) => !isSameVersion(one, stable)).slice(0, keep) };
}

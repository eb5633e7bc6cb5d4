import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { VersionRecord } from "../versions.ts";
import {
  next,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutState,
  type RolloutStep,
  recordOf,
} from "./machine.ts";
import { type RolloutPolicy, rolloutPolicy } from "./policy.ts";

const v = (version: string): VersionRecord => ({
  version,
  digest: `sha256:${version}`,
  manifest: `version: "${version}"`,
  origin: "upload",
  by: "alice",
  deployedAt: 0,
});
const [v0, v1, v2, v3] = ["0", "1", "2", "3"].map(v) as [VersionRecord, VersionRecord, VersionRecord, VersionRecord];

const atOnce: RolloutPolicy = rolloutPolicy.parse({});
const canary: RolloutPolicy = rolloutPolicy.parse({ canary: { percent: 10 } });
const byHand: RolloutPolicy = { ...canary, promotion: "manual" };
const staged: RolloutPolicy = { ...canary, stagedOnly: true };
const stagedAtOnce: RolloutPolicy = { ...atOnce, stagedOnly: true };

const previous = [v0];
const states: Readonly<Record<string, RolloutState>> = {
  none: { phase: "none" },
  "stable 1": { phase: "stable", stable: v1, previous: [] },
  "stable 1 [0]": { phase: "stable", stable: v1, previous },
  "staged 2": { phase: "staged", stable: undefined, candidate: v2, policy: staged, previous: [] },
  "staged 2 over 1 [0]": { phase: "staged", stable: v1, candidate: v2, policy: staged, previous },
  "staged 2, at once, over 1 [0]": { phase: "staged", stable: v1, candidate: v2, policy: stagedAtOnce, previous },
  "canary 2 over 1 [0]": { phase: "canary", stable: v1, candidate: v2, policy: canary, previous },
  "canary 2, by hand, over 1 [0]": { phase: "canary", stable: v1, candidate: v2, policy: byHand, previous },
  "paused 2 over 1 [0]": { phase: "paused", stable: v1, candidate: v2, policy: canary, previous },
};

const trial = { version: v2, policy: canary, phase: "canary" } as const;
const events: Readonly<Record<string, RolloutEvent>> = {
  "3 deployed": { type: "deployed", version: v3, policy: atOnce },
  "3 deployed, staged": { type: "deployed", version: v3, policy: staged },
  "3 deployed, as canary": { type: "deployed", version: v3, policy: canary },
  "1 deployed, as canary": { type: "deployed", version: v1, policy: canary },
  promote: { type: "promote" },
  abort: { type: "abort" },
  pause: { type: "pause" },
  resume: { type: "resume" },
  rollback: { type: "rollback" },
  "rollback to 0": { type: "rollback", to: "sha256:0" },
  "rollback to 1": { type: "rollback", to: "1" },
  "rollback to 7": { type: "rollback", to: "7" },
  "verdict good": { type: "verdict", verdict: "good" },
  "verdict bad": { type: "verdict", verdict: "bad" },
  "verdict undecided": { type: "verdict", verdict: "undecided" },
  unfit: { type: "unfit" },
  removed: { type: "removed" },
  restored: { type: "restored", record: { plugin: "toy", stable: v1, trial, previous } },
};

/** Two previous versions are kept. */
const step = (state: string, event: string): RolloutStep => next(stateOf(state), eventOf(event), 2);
const stateOf = (name: string): RolloutState => states[name] ?? assert.fail(name);
const eventOf = (name: string): RolloutEvent => events[name] ?? assert.fail(name);

function told(result: RolloutStep): string {
  if ("refused" in result) return `refused: ${result.refused}`;
  return [toldState(result.state), ...result.effects.map(toldEffect)].join("; ");
}

function toldState(state: RolloutState): string {
  if (state.phase === "none") return "none";
  const kept = state.previous.length === 0 ? "" : ` [${state.previous.map(({ version }) => version).join(" ")}]`;
  const stable = state.stable?.version ?? "";
  if (state.phase === "stable") return `stable ${stable}${kept}`;
  return `${state.phase} ${state.candidate.version}${stable === "" ? "" : ` over ${stable}`}${kept}`;
}

function toldEffect(effect: RolloutEffect): string {
  switch (effect.effect) {
    case "end":
      return `end ${effect.candidate.version} ${effect.outcome}`;
    case "switch":
      return `switch to ${effect.to.version}`;
    case "try":
      return `try ${effect.candidate.version} ${effect.phase}`;
    case "remove":
      return "remove";
    case "record":
      return `record ${effect.action} ${effect.version.version}`;
  }
}

const table: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  none: {
    "3 deployed": "stable 3; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3; try 3 staged; record deploy 3",
    "3 deployed, as canary": "stable 3; switch to 3; record deploy 3",
    "1 deployed, as canary": "stable 1; switch to 1; record deploy 1",
    promote: "refused: is not deployed",
    abort: "refused: is not deployed",
    pause: "refused: is not deployed",
    resume: "refused: is not deployed",
    rollback: "refused: is not deployed",
    "rollback to 0": "refused: is not deployed",
    "rollback to 1": "refused: is not deployed",
    "rollback to 7": "refused: is not deployed",
    "verdict good": "refused: is not deployed",
    "verdict bad": "refused: is not deployed",
    "verdict undecided": "refused: is not deployed",
    unfit: "refused: is not deployed",
    removed: "refused: is not deployed",
    restored: "canary 2 over 1 [0]; switch to 1; try 2 canary",
  },
  "stable 1": {
    "3 deployed": "stable 3 [1]; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3 over 1; try 3 staged; record deploy 3",
    "3 deployed, as canary": "canary 3 over 1; try 3 canary; record deploy 3",
    "1 deployed, as canary": "stable 1; switch to 1; record deploy 1",
    promote: "refused: has no version on trial",
    abort: "refused: has no version on trial",
    pause: "refused: has no version on trial",
    resume: "refused: has no version on trial",
    rollback: "refused: has no version before 1 to go back to",
    "rollback to 0": "refused: has no version before 1 to go back to",
    "rollback to 1": "refused: runs version 1 already",
    "rollback to 7": "refused: has no version before 1 to go back to",
    "verdict good": "refused: has no version on trial",
    "verdict bad": "refused: has no version on trial",
    "verdict undecided": "refused: has no version on trial",
    unfit: "refused: has no version on trial",
    removed: "none; remove; record undeploy 1",
    restored: "refused: is deployed already",
  },
  "stable 1 [0]": {
    "3 deployed": "stable 3 [1 0]; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3 over 1 [0]; try 3 staged; record deploy 3",
    "3 deployed, as canary": "canary 3 over 1 [0]; try 3 canary; record deploy 3",
    "1 deployed, as canary": "stable 1 [0]; switch to 1; record deploy 1",
    promote: "refused: has no version on trial",
    abort: "refused: has no version on trial",
    pause: "refused: has no version on trial",
    resume: "refused: has no version on trial",
    rollback: "stable 0 [1]; switch to 0; record rollback 0",
    "rollback to 0": "stable 0 [1]; switch to 0; record rollback 0",
    "rollback to 1": "refused: runs version 1 already",
    "rollback to 7": "refused: keeps no version '7' to go back to; kept: 0",
    "verdict good": "refused: has no version on trial",
    "verdict bad": "refused: has no version on trial",
    "verdict undecided": "refused: has no version on trial",
    unfit: "refused: has no version on trial",
    removed: "none; remove; record undeploy 1",
    restored: "refused: is deployed already",
  },
  "staged 2": {
    "3 deployed": "stable 3; end 2 aborted; record abort 2; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3; end 2 aborted; record abort 2; try 3 staged; record deploy 3",
    "3 deployed, as canary": "stable 3; end 2 aborted; record abort 2; switch to 3; record deploy 3",
    "1 deployed, as canary": "stable 1; end 2 aborted; record abort 2; switch to 1; record deploy 1",
    promote: "stable 2; end 2 promoted; switch to 2; record promote 2",
    abort: "none; end 2 aborted; record abort 2",
    pause: "refused: has version 2 staged: there is no trial to pause",
    resume: "stable 2; end 2 promoted; switch to 2; record resume 2",
    rollback: "refused: has no version to go back to",
    "rollback to 0": "refused: has no version to go back to",
    "rollback to 1": "refused: has no version to go back to",
    "rollback to 7": "refused: has no version to go back to",
    "verdict good": "refused: has no version on trial that is judged now",
    "verdict bad": "refused: has no version on trial that is judged now",
    "verdict undecided": "refused: has no version on trial that is judged now",
    unfit: "none; end 2 rolled back; record rollback 2",
    removed: "none; end 2 aborted; record abort 2; remove; record undeploy 2",
    restored: "refused: is deployed already",
  },
  "staged 2 over 1 [0]": {
    "3 deployed": "stable 3 [1 0]; end 2 aborted; record abort 2; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3 over 1 [0]; end 2 aborted; record abort 2; try 3 staged; record deploy 3",
    "3 deployed, as canary": "canary 3 over 1 [0]; end 2 aborted; record abort 2; try 3 canary; record deploy 3",
    "1 deployed, as canary": "stable 1 [0]; end 2 aborted; record abort 2; switch to 1; record deploy 1",
    promote: "stable 2 [1 0]; end 2 promoted; switch to 2; record promote 2",
    abort: "stable 1 [0]; end 2 aborted; record abort 2",
    pause: "refused: has version 2 staged: there is no trial to pause",
    resume: "canary 2 over 1 [0]; try 2 canary; record resume 2",
    rollback: "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 0": "stable 0 [1]; end 2 rolled back; record rollback 2; switch to 0; record rollback 0",
    "rollback to 1": "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 7": "refused: keeps no version '7' to go back to; kept: 0",
    "verdict good": "refused: has no version on trial that is judged now",
    "verdict bad": "refused: has no version on trial that is judged now",
    "verdict undecided": "refused: has no version on trial that is judged now",
    unfit: "stable 1 [0]; end 2 rolled back; record rollback 2",
    removed: "none; end 2 aborted; record abort 2; remove; record undeploy 1",
    restored: "refused: is deployed already",
  },
  "staged 2, at once, over 1 [0]": {
    "3 deployed": "stable 3 [1 0]; end 2 aborted; record abort 2; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3 over 1 [0]; end 2 aborted; record abort 2; try 3 staged; record deploy 3",
    "3 deployed, as canary": "canary 3 over 1 [0]; end 2 aborted; record abort 2; try 3 canary; record deploy 3",
    "1 deployed, as canary": "stable 1 [0]; end 2 aborted; record abort 2; switch to 1; record deploy 1",
    promote: "stable 2 [1 0]; end 2 promoted; switch to 2; record promote 2",
    abort: "stable 1 [0]; end 2 aborted; record abort 2",
    pause: "refused: has version 2 staged: there is no trial to pause",
    resume: "stable 2 [1 0]; end 2 promoted; switch to 2; record resume 2",
    rollback: "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 0": "stable 0 [1]; end 2 rolled back; record rollback 2; switch to 0; record rollback 0",
    "rollback to 1": "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 7": "refused: keeps no version '7' to go back to; kept: 0",
    "verdict good": "refused: has no version on trial that is judged now",
    "verdict bad": "refused: has no version on trial that is judged now",
    "verdict undecided": "refused: has no version on trial that is judged now",
    unfit: "stable 1 [0]; end 2 rolled back; record rollback 2",
    removed: "none; end 2 aborted; record abort 2; remove; record undeploy 1",
    restored: "refused: is deployed already",
  },
  "canary 2 over 1 [0]": {
    "3 deployed": "stable 3 [1 0]; end 2 aborted; record abort 2; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3 over 1 [0]; end 2 aborted; record abort 2; try 3 staged; record deploy 3",
    "3 deployed, as canary": "canary 3 over 1 [0]; end 2 aborted; record abort 2; try 3 canary; record deploy 3",
    "1 deployed, as canary": "stable 1 [0]; end 2 aborted; record abort 2; switch to 1; record deploy 1",
    promote: "stable 2 [1 0]; end 2 promoted; switch to 2; record promote 2",
    abort: "stable 1 [0]; end 2 aborted; record abort 2",
    pause: "paused 2 over 1 [0]; try 2 paused; record pause 2",
    resume: "refused: has its trial of version 2 running already",
    rollback: "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 0": "stable 0 [1]; end 2 rolled back; record rollback 2; switch to 0; record rollback 0",
    "rollback to 1": "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 7": "refused: keeps no version '7' to go back to; kept: 0",
    "verdict good": "stable 2 [1 0]; end 2 promoted; switch to 2; record promote 2",
    "verdict bad": "stable 1 [0]; end 2 rolled back; record rollback 2",
    "verdict undecided": "canary 2 over 1 [0]",
    unfit: "stable 1 [0]; end 2 rolled back; record rollback 2",
    removed: "none; end 2 aborted; record abort 2; remove; record undeploy 1",
    restored: "refused: is deployed already",
  },
  "canary 2, by hand, over 1 [0]": {
    "3 deployed": "stable 3 [1 0]; end 2 aborted; record abort 2; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3 over 1 [0]; end 2 aborted; record abort 2; try 3 staged; record deploy 3",
    "3 deployed, as canary": "canary 3 over 1 [0]; end 2 aborted; record abort 2; try 3 canary; record deploy 3",
    "1 deployed, as canary": "stable 1 [0]; end 2 aborted; record abort 2; switch to 1; record deploy 1",
    promote: "stable 2 [1 0]; end 2 promoted; switch to 2; record promote 2",
    abort: "stable 1 [0]; end 2 aborted; record abort 2",
    pause: "paused 2 over 1 [0]; try 2 paused; record pause 2",
    resume: "refused: has its trial of version 2 running already",
    rollback: "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 0": "stable 0 [1]; end 2 rolled back; record rollback 2; switch to 0; record rollback 0",
    "rollback to 1": "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 7": "refused: keeps no version '7' to go back to; kept: 0",
    "verdict good": "canary 2 over 1 [0]",
    "verdict bad": "stable 1 [0]; end 2 rolled back; record rollback 2",
    "verdict undecided": "canary 2 over 1 [0]",
    unfit: "stable 1 [0]; end 2 rolled back; record rollback 2",
    removed: "none; end 2 aborted; record abort 2; remove; record undeploy 1",
    restored: "refused: is deployed already",
  },
  "paused 2 over 1 [0]": {
    "3 deployed": "stable 3 [1 0]; end 2 aborted; record abort 2; switch to 3; record deploy 3",
    "3 deployed, staged": "staged 3 over 1 [0]; end 2 aborted; record abort 2; try 3 staged; record deploy 3",
    "3 deployed, as canary": "canary 3 over 1 [0]; end 2 aborted; record abort 2; try 3 canary; record deploy 3",
    "1 deployed, as canary": "stable 1 [0]; end 2 aborted; record abort 2; switch to 1; record deploy 1",
    promote: "stable 2 [1 0]; end 2 promoted; switch to 2; record promote 2",
    abort: "stable 1 [0]; end 2 aborted; record abort 2",
    pause: "refused: has its trial of version 2 paused already",
    resume: "canary 2 over 1 [0]; try 2 canary; record resume 2",
    rollback: "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 0": "stable 0 [1]; end 2 rolled back; record rollback 2; switch to 0; record rollback 0",
    "rollback to 1": "stable 1 [0]; end 2 rolled back; record rollback 2",
    "rollback to 7": "refused: keeps no version '7' to go back to; kept: 0",
    "verdict good": "refused: has no version on trial that is judged now",
    "verdict bad": "refused: has no version on trial that is judged now",
    "verdict undecided": "refused: has no version on trial that is judged now",
    unfit: "stable 1 [0]; end 2 rolled back; record rollback 2",
    removed: "none; end 2 aborted; record abort 2; remove; record undeploy 1",
    restored: "refused: is deployed already",
  },
};

describe("the machine of a rollout", () => {
  for (const state of Object.keys(states)) {
    it(`says for every event what follows from ${state}`, () => {
      const row = Object.fromEntries(Object.keys(events).map((event) => [event, told(step(state, event))]));
      assert.deepEqual(row, table[state]);
    });
  }

  it("keeps so many previous versions, and each of them once", () => {
    let state: RolloutState = { phase: "none" };
    const deploy = (version: VersionRecord): void => {
      const result = next(state, { type: "deployed", version, policy: atOnce }, 2);
      state = "refused" in result ? assert.fail(result.refused) : result.state;
    };
    for (const version of [v0, v1, v2, v3]) deploy(version);
    assert.equal(toldState(state), "stable 3 [2 1]");
    deploy({ ...v2, deployedAt: 1 });
    assert.equal(toldState(state), "stable 2 [3 1]");
    deploy({ ...v2, manifest: 'version: "2" # with another setting' });
    assert.equal(toldState(state), "stable 2 [2 3]");
  });

  it("gives records from which it brings every state back", () => {
    for (const state of Object.values(states)) {
      const result = next({ phase: "none" }, { type: "restored", record: recordOf("toy", state) }, 2);
      assert.deepEqual("state" in result ? result.state : result.refused, state);
    }
  });
});

import { messageOf } from "../../../components/thrown.ts";
import type { PreparedPlugin } from "../prepare.ts";
import type { Release } from "../release.ts";
import type { TrialOutcome } from "../status.ts";
import { timed } from "../timed.ts";
import { type HistoryEntry, ownName, type PluginRecord, type VersionRecord } from "../versions.ts";
import type { Verdict } from "./judge.ts";
import { next, type RolloutEffect, type RolloutEvent, type RolloutState, recordOf } from "./machine.ts";
import type { RolloutPolicy } from "./policy.ts";
import { type KeeperOptions, RecordKeeper } from "./record-keeper.ts";
import { Trial } from "./trial.ts";
import { conflict, type StarterOptions, type StartTerms, VersionStarter } from "./version-starter.ts";

export interface RolloutOptions extends StarterOptions, Pick<KeeperOptions, "later" | "failed"> {
  /** How many previous versions are kept. */
  readonly keep: number;
  /** Told of everything that was done or refused; resolves when it is durable, and never rejects. */
  readonly happened: (entry: HistoryEntry) => Promise<void>;
  /** Throws once nothing may be deployed any more. */
  readonly requireOpen: () => void;
}

/** Who wants a transition, and what is at hand for it. */
export interface TransitionTerms extends StartTerms {
  readonly by: string;
  readonly reason?: string;
}

/** Brings about what follows from an event. */
export type Transit = (event: RolloutEvent, terms: TransitionTerms) => Promise<void>;

/** What runs of what was kept. */
export interface StartedVersions {
  readonly stable: Release | undefined;
  readonly candidate: Release | undefined;
}

/**
 * Carries out what the machine says: starts what is to run, makes the new state durable, and only then lets it take effect, in
 * one step; going back takes effect first. Either way, whenever the process ends, the record names one stable version, and it is
 * one that has started.
 */
export class Rollout implements Disposable {
  readonly #options: RolloutOptions;
  readonly #starter: VersionStarter;
  readonly #keeper: RecordKeeper;
  #state: RolloutState = { phase: "none" };
  /** Why the version on trial is about to be rolled back. */
  #condemned: string | undefined;
  #lastTrial: TrialOutcome | undefined;

  constructor(options: RolloutOptions) {
    this.#options = options;
    this.#starter = new VersionStarter(options);
    this.#keeper = new RecordKeeper({ ...options, state: () => this.#state });
  }

  get state(): RolloutState {
    return this.#state;
  }

  get stable(): VersionRecord | undefined {
    return this.#state.phase === "none" ? undefined : this.#state.stable;
  }

  get candidate(): VersionRecord | undefined {
    return "candidate" in this.#state ? this.#state.candidate : undefined;
  }

  /** What is in effect, as it is kept; undefined when nothing is. */
  get record(): PluginRecord | undefined {
    return this.#state.phase === "none" ? undefined : recordOf(this.#options.name, this.#state);
  }

  /** Why what is in effect would not be there after a restart; undefined when it would. */
  get unkept(): string | undefined {
    return this.#keeper.unkept;
  }

  get lastTrial(): TrialOutcome | undefined {
    return this.#lastTrial;
  }

  /**
   * Brings about what follows from the event. Rejects with PluginError and leaves everything as it was when that is not possible,
   * a version does not start, or the state cannot be kept. Only going back does not wait for the disk: what cannot be kept of it
   * is in effect all the same, and is tried again until it is kept.
   */
  async transit(event: RolloutEvent, terms: TransitionTerms): Promise<void> {
    const { running, keep, requireOpen } = this.#options;
    const step = next(this.#state, event, keep);
    if ("refused" in step) throw conflict(this.#options.name, step.refused);
    this.#requireSound(event);
    this.#requireNotRepeated(event);
    const version = versionToStart(step.effects, this.candidate);
    const started = version === undefined ? undefined : await this.#starter.start(version, terms);
    const isHurried = isGoingBack(event);
    try {
      requireOpen();
      terms.signal?.throwIfAborted();
      if (!isHurried && step.state !== this.#state) await this.#saveSound(event, step.state);
      requireOpen();
    } catch (error) {
      if (started !== undefined) running.discard(started);
      throw error;
    }
    await timed(terms.progress, step.state.phase === "canary" ? "canary" : "switch", async () => {
      this.#apply(step.state, step.effects, started, terms);
    });
    if (isHurried) await this.save();
    const { unkept } = this;
    const reason = [terms.reason, unkept].filter((one) => one !== undefined).join("; ");
    const noted = reason === "" ? terms : { ...terms, reason };
    for (const effect of step.effects) {
      if (effect.effect === "record") await this.note(effect.action, effect.version, noted);
    }
  }

  /** The version on trial gets no more streams from now on, and is rolled back when it is its turn. */
  condemn(reason: string): void {
    const { running, later, failed } = this.#options;
    const { onTrial } = running;
    if (onTrial === undefined || this.#condemned !== undefined) return;
    this.#condemned = reason;
    onTrial.trial[Symbol.dispose]();
    running.divide();
    later(async () => {
      if (running.onTrial !== onTrial) return;
      await this.transit({ type: "unfit" }, { by: ownName, reason }).catch(failed);
    });
  }

  /** Starts the stable version, or the one on trial, again, as it may run now. */
  async restart(which: "stable" | "candidate", prepared: PreparedPlugin): Promise<void> {
    const { running } = this.#options;
    if (which === "candidate" && this.#condemned !== undefined) return;
    const release = await this.#starter.startAgain(prepared);
    try {
      this.#options.requireOpen();
    } catch (error) {
      running.discard(release);
      throw error;
    }
    const { state } = this;
    if (which === "stable") running.switchTo(release);
    else if ("candidate" in state) {
      const before = running.endTrial();
      this.#try(release, state.candidate, state.phase, state.policy);
      if (before !== undefined) running.retireCandidate(before);
    }
  }

  /** Takes over what was kept, with what could be started of it. */
  restore(record: PluginRecord, started: StartedVersions): void {
    const step = next(this.#state, { type: "restored", record }, this.#options.keep);
    if ("refused" in step) throw conflict(this.#options.name, step.refused);
    const { running } = this.#options;
    this.#state = step.state;
    if (started.stable !== undefined) running.switchTo(started.stable);
    if (started.candidate === undefined || !("candidate" in step.state)) return;
    const { candidate, phase, policy } = step.state;
    this.#try(started.candidate, candidate, phase, policy);
  }

  /** Makes durable what is deployed now, or tells that it is not and tries until it is. */
  save(): Promise<void> {
    return this.#keeper.keep();
  }

  /** What is not kept yet is not tried again. */
  [Symbol.dispose](): void {
    this.#keeper[Symbol.dispose]();
  }

  /** Tells the history what was done, or refused with an error. */
  async note(
    action: HistoryEntry["action"],
    version: Pick<VersionRecord, "version" | "digest"> | undefined,
    { by, reason, error }: { readonly by: string; readonly reason?: string | undefined; readonly error?: unknown },
  ): Promise<void> {
    const why = error === undefined ? reason : messageOf(error);
    await this.#options.happened({
      at: Date.now(),
      plugin: this.#options.name,
      action,
      version: version?.version ?? "",
      digest: version?.digest ?? "",
      by,
      outcome: error === undefined ? "done" : "refused",
      ...(why === undefined ? {} : { reason: why }),
    });
  }

  /** Makes it durable, and takes it back when the version on trial turns out to be a bad one meanwhile. */
  async #saveSound(event: RolloutEvent, state: RolloutState): Promise<void> {
    await this.#keeper.save(state);
    try {
      this.#requireSound(event);
    } catch (error) {
      await this.save();
      throw error;
    }
  }

  /** Throws when the event would have a version go on that is about to be rolled back. */
  #requireSound({ type }: RolloutEvent): void {
    if (this.#condemned === undefined || !goesOn.has(type)) return;
    throw conflict(this.#options.name, `has its version ${this.candidate?.version} rolled back: ${this.#condemned}`);
  }

  /** Throws when someone goes back once more who may not know that it is done: that would be forth, or one version further. */
  #requireNotRepeated(event: RolloutEvent): void {
    if (event.type !== "rollback" || event.to !== undefined || this.unkept === undefined) return;
    const named = "name a version to go to another";
    throw conflict(this.#options.name, `has gone back to version ${this.stable?.version}: ${this.unkept}; ${named}`);
  }

  #apply(
    state: RolloutState,
    effects: readonly RolloutEffect[],
    started: Release | undefined,
    terms: TransitionTerms,
  ): void {
    const { running } = this.#options;
    const before = this.stable;
    const prepared = running.stable?.prepared;
    let release = started;
    for (const effect of effects) {
      switch (effect.effect) {
        case "end":
          release = this.#end(effect, terms) ?? release;
          break;
        case "switch":
          if (release !== undefined) running.switchTo(release);
          break;
        case "try":
          if (effect.candidate === this.candidate) this.#enter(effect.phase);
          else if (release !== undefined) this.#try(release, effect.candidate, effect.phase, effect.policy);
          break;
        case "remove":
          running.leaveService();
          break;
        case "record":
          break;
      }
    }
    this.#state = state;
    this.#starter.keepWarm(state.phase === "none" ? undefined : state.previous[0], before, prepared);
  }

  /** The version that is promoted; any other is gone. */
  #end(
    { candidate, outcome }: Extract<RolloutEffect, { effect: "end" }>,
    { by, reason }: TransitionTerms,
  ): Release | undefined {
    const { running } = this.#options;
    const { version, digest } = candidate;
    this.#lastTrial = { version, digest, outcome, by, ...(reason === undefined ? {} : { reason }) };
    this.#condemned = undefined;
    const release = running.endTrial();
    if (outcome === "promoted" || release === undefined) return release;
    running.retireCandidate(release);
    return undefined;
  }

  #enter(phase: Trial["status"]["phase"]): void {
    const { running } = this.#options;
    running.onTrial?.trial.enter(phase);
    running.divide();
  }

  #try(release: Release, candidate: VersionRecord, phase: Trial["status"]["phase"], policy: RolloutPolicy): void {
    const trial: Trial = new Trial({ candidate, policy, decided: (verdict) => this.#decided(trial, verdict) });
    trial.enter(phase);
    this.#options.running.tryOut(release, trial);
  }

  #decided(trial: Trial, { verdict, reason }: Extract<Verdict, { reason: string }>): void {
    if (verdict === "bad") {
      this.condemn(reason);
      return;
    }
    const { running, later, failed } = this.#options;
    later(async () => {
      if (running.onTrial?.trial !== trial || this.#state.phase !== "canary") return;
      try {
        await this.transit({ type: "verdict", verdict }, { by: ownName, reason });
      } catch (error) {
        if (this.#condemned !== undefined) return;
        failed(error);
        // It is judged anew: what could not be kept may be kept later.
        trial.enter("canary");
      }
    });
  }
}

/** On with a version on trial. */
const goesOn: ReadonlySet<RolloutEvent["type"]> = new Set(["promote", "pause", "resume", "verdict"]);

/** Away from a version that does harm. */
export const isGoingBack = ({ type }: RolloutEvent): boolean =>
  type === "rollback" || type === "abort" || type === "unfit";

/** The version that the effects need and that does not run yet. */
function versionToStart(
  effects: readonly RolloutEffect[],
  candidate: VersionRecord | undefined,
): VersionRecord | undefined {
  for (const effect of effects) {
    if (effect.effect === "switch" && effect.to !== candidate) return effect.to;
    if (effect.effect === "try" && effect.candidate !== candidate) return effect.candidate;
  }
  return undefined;
}

import type { PluginArtifact } from "./artifact.ts";
import { makeUse } from "./binding.ts";
import type { PluginUse, UseOptions } from "./contract.ts";
import { beginsAgain, DeploysUnderWay, type DeployUnderWay } from "./deploys-under-way.ts";
import { type Grants, isHeldByGrants, ungranted } from "./grants.ts";
import type { Manifest } from "./manifest.ts";
import type { DeployOptions } from "./operations.ts";
import { PluginError } from "./plugin-error.ts";
import { PluginTally } from "./plugin-tally.ts";
import type { PreparedPlugin } from "./prepare.ts";
import { regrantPlugin } from "./regrant.ts";
import { configurationText, type Release } from "./release.ts";
import { restorePlugin } from "./restore.ts";
import type { RolloutEvent } from "./rollout/machine.ts";
import type { RolloutPolicy } from "./rollout/policy.ts";
import { Rollout, type TransitionTerms } from "./rollout/rollout.ts";
import { RunningVersions } from "./running-versions.ts";
import { statusOf } from "./slot-status.ts";
import type { PluginStatus, TrialStatus } from "./status.ts";
import { timed } from "./timed.ts";
import { Turns } from "./turns.ts";
import { type HistoryEntry, ownName, type PluginRecord, type VersionRecord, type VersionStore } from "./versions.ts";

/** What a slot needs of the registry around it. */
export interface SlotOptions {
  readonly name: string;
  readonly grants: () => Grants;
  /** Makes a plugin ready to start; rejects with PluginError. */
  readonly prepare: (artifact: PluginArtifact) => Promise<PreparedPlugin>;
  readonly release: (prepared: PreparedPlugin) => Release;
  /** Without one, nothing outlives the process, and one previous version is kept in memory. */
  readonly store: VersionStore | undefined;
  /** How many previous versions are kept. */
  readonly keep: number;
  /** Longest time that streams of a version may go on after it was replaced, and after the slot was closed. */
  readonly drainMs: number;
  readonly closeMs: number;
  /** Told when nothing ran, was refused or is used under the name: anyone may ask for any name, so none is kept for that. */
  readonly emptied: () => void;
  /** Told of everything that was done or refused; resolves when it is durable, and never rejects. */
  readonly happened: (entry: HistoryEntry) => Promise<void>;
  /** Told what went wrong where nobody can be told. */
  readonly failed: (error: unknown) => void;
  /** Told that what runs was started anew, without a deploy. */
  readonly deployed: () => void;
  /** What the sidecar does not have of what the manifest needs, said of the plugin; undefined when it has all. */
  readonly lacks: (manifest: Manifest) => Promise<string | undefined>;
  /** Told of the manifest by which streams are taken from now on; of none when nothing takes them any more. */
  readonly switched: (manifest: Manifest | undefined) => void;
}

export interface Refusal {
  readonly error: PluginError;
  readonly artifact: PluginArtifact | undefined;
  readonly options: DeployOptions;
  readonly lacksGrants: boolean;
  /** Something that it needs of the sidecar was not there. */
  readonly lacksParts: boolean;
}

/** What can be asked for by hand of a plugin that is deployed. */
export type Operation = Extract<RolloutEvent, { type: "promote" | "abort" | "pause" | "resume" | "rollback" }>;

/**
 * What runs under one plugin's name. Operations and new configurations take turns; what they do to the versions is said by
 * the machine of runtime/plugin/rollout, is made durable, and then takes effect in one step.
 */
export class PluginSlot {
  readonly tally = new PluginTally();
  readonly #options: SlotOptions;
  readonly #running: RunningVersions;
  readonly #rollout: Rollout;
  readonly #deploys = new DeploysUnderWay();
  readonly #turns = new Turns(() => this.#requireOpen());
  /** Ran until its grants were withdrawn. */
  #withdrawn: PreparedPlugin | undefined;
  #refusal: Refusal | undefined;
  #hasRun = false;
  #isClosed = false;

  constructor(options: SlotOptions) {
    const { release, drainMs, switched, failed } = options;
    const running = new RunningVersions({ release, drainMs, switched, failed });
    this.#options = options;
    this.#running = running;
    this.#rollout = new Rollout({
      ...options,
      running,
      later: (task) => {
        this.#turns.take(task).catch((error: unknown) => {
          if (!this.#isClosed) failed(error);
        });
      },
      requireOpen: () => this.#requireOpen(),
    });
  }

  /** The id that the guests gave themselves; empty when they have none, or nothing runs. */
  get reportedId(): string {
    return this.#running.stable?.reportedId ?? "";
  }

  /** Whether anything ever ran here. */
  get isKnown(): boolean {
    return this.#hasRun;
  }

  /** The version on trial, if there is one. */
  get trial(): TrialStatus | undefined {
    return this.#running.onTrial?.trial.status;
  }

  /** What is known of the plugin; undefined when nothing was ever deployed, or it was removed. */
  get status(): PluginStatus | undefined {
    return statusOf({
      name: this.#options.name,
      state: this.#rollout.state,
      running: this.#running,
      withdrawn: this.#withdrawn,
      refusal: this.#refusal,
      lastTrial: this.#rollout.lastTrial,
      unkept: this.#rollout.unkept,
      totals: this.tally.totals(),
    });
  }

  /** Whether a deploy runs, or waits for its turn. */
  get isDeploying(): boolean {
    return !this.#deploys.isEmpty;
  }

  /**
   * Puts the artifact in service, on trial or aside. Rejects with PluginError, and what ran before goes on, when any step fails or
   * something that was asked for meanwhile ends it.
   */
  deploy(artifact: PluginArtifact, options: DeployOptions = {}): Promise<void> {
    const { digest, manifest } = artifact;
    return this.#deploys.run({ version: manifest.version, digest }, (self) => this.#deploy(artifact, options, self));
  }

  #deploy(artifact: PluginArtifact, options: DeployOptions, self: DeployUnderWay): Promise<void> {
    return this.#turns.take(async () => {
      const { by = "directory", progress } = options;
      const { signal } = self;
      const version = versionOf(artifact, by);
      let lacking: string | undefined;
      try {
        signal.throwIfAborted();
        this.#requireAwaited(options.signal);
        if (this.#runs(artifact, options.policy)) {
          await this.#endTrialBeside(artifact, by);
          this.#refusal = undefined;
          return;
        }
        lacking = await this.#options.lacks(artifact.manifest);
        this.#requireMet(artifact.manifest, lacking);
        const prepared = await this.#keepAndPrepare(artifact, options);
        signal.throwIfAborted();
        const policy = this.#policyOf(options.policy ?? prepared.manifest.rollout);
        const terms = { by, prepared, warmUp: policy.warmUp, progress, signal };
        await this.#transit({ type: "deployed", version, policy }, terms);
      } catch (error) {
        const { policy } = options;
        if (beginsAgain(error)) throw error;
        if (signal.aborted && error === signal.reason) self.gaveUp();
        else if (error instanceof PluginError && !this.#isClosed && options.signal?.aborted !== true) {
          const again = { by, ...(policy === undefined ? {} : { policy }) };
          this.#refuse(error, artifact, again, lacking !== undefined);
        }
        await this.#rollout.note("deploy", version, { by, error });
        throw error;
      }
      this.#hasRun = true;
      this.#refusal = undefined;
    });
  }

  /** What is deployed, as it is kept; undefined when nothing is. */
  get record(): PluginRecord | undefined {
    return this.#rollout.record;
  }

  /** Does what was asked for. Rejects with PluginError, and leaves everything as it is, when it is not possible. */
  operate(event: Operation, by: string, signal?: AbortSignal): Promise<void> {
    const isBack = event.type === "rollback" || event.type === "abort";
    const ended = isBack ? this.#cancelDeploys(`${event.type} by ${by}`) : undefined;
    return this.#turns.take(async () => {
      const { stable, candidate } = this.#rollout;
      const given = ended?.();
      try {
        if (given !== undefined && candidate === undefined && this.#isThere(event)) {
          const reason = `version ${given.version} was being deployed`;
          await this.#rollout.note(event.type, given, { by, reason });
          return;
        }
        this.#requireAwaited(signal);
        await this.#transit(event, { by });
      } catch (error) {
        await this.#rollout.note(event.type, candidate ?? stable, { by, error });
        throw error;
      }
    });
  }

  /** Remembers why something of that name could not even be read. */
  refuse(error: PluginError): void {
    this.#refuse(error, undefined, {});
  }

  /** Takes the plugin out of service, with everything that is kept of it. */
  remove(by: string): Promise<void> {
    this.#cancelDeploys(`undeploy by ${by}`);
    return this.#turns.take(async () => {
      if (this.#rollout.state.phase !== "none") await this.#transit({ type: "removed" }, { by });
      this.#refusal = undefined;
      this.#withdrawn = undefined;
    });
  }

  /** Brings back what was kept; what cannot be run is told of. No effect when something is deployed. */
  restore(record: PluginRecord, load: (version: VersionRecord) => Promise<PluginArtifact>): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#rollout.state.phase !== "none") return;
      const { grants, prepare, failed } = this.#options;
      const failure = await restorePlugin(record, {
        rollout: this.#rollout,
        running: this.#running,
        grants: grants(),
        load,
        prepare,
        requireOpen: () => this.#requireOpen(),
        failed,
      });
      this.#hasRun = true;
      if (failure !== undefined) this.#refuse(failure.error, failure.artifact, {});
    });
  }

  /** Holds what runs, or was refused, against grants that have changed. */
  regrant(): Promise<void> {
    this.#deploys.putOff();
    return this.#turns.take(async () => {
      const { grants, failed, deployed } = this.#options;
      await regrantPlugin({
        rollout: this.#rollout,
        running: this.#running,
        grants,
        withdrawn: this.#withdrawn,
        endTrial: (reason) => this.#endTrial(reason),
        withdraw: (prepared, error) => {
          this.#withdrawn = prepared;
          this.#refuse(error, undefined, {});
          this.#running.leaveService();
          failed(error);
        },
        restarted: () => {
          this.#switchedFrom(undefined);
          deployed();
        },
        notRestarted: (error) => {
          if (error instanceof PluginError) this.#refuse(error, undefined, {});
          failed(error);
        },
      });
      this.#retry(({ lacksGrants, lacksParts }) => lacksGrants && !lacksParts);
    });
  }

  /** Tries again what was refused for want of parts of the sidecar, when they have come. */
  reconsider(): Promise<void> {
    return this.#turns.take(async () => {
      const { artifact, lacksParts = false } = this.#refusal ?? {};
      if (artifact === undefined || !lacksParts) return;
      if ((await this.#options.lacks(artifact.manifest)) === undefined) this.#retry(() => true);
    });
  }

  /** A use with that configuration. Rejects with PluginError when the guest that runs refuses it. */
  use(options: UseOptions): Promise<PluginUse> {
    return this.#turns.take(async () => {
      const given = options.configuration === undefined ? undefined : configurationText(options.configuration);
      const binding = await this.#running.bind(given, ({ message }) => this.#rollout.condemn(message));
      const use = makeUse(binding, {
        plugin: this.#options.name,
        fail: options.fail,
        manifest: () => this.#running.stable?.manifest,
        missing: () => this.#missing(),
        left: () => {
          if (!this.#running.unbind(binding)) return;
          this.#retry(({ error }) => error.fault === "configuration");
          const isEmpty = !this.#running.isUsed && this.#turns.isIdle && !this.#hasRun && this.#refusal === undefined;
          if (isEmpty) this.#options.emptied();
        },
      });
      binding.users.add(use);
      return use;
    });
  }

  /** Whether a use of that configuration wants a crashed instance replaced at once. */
  replacesAtOnce(release: Release, configuration: string): boolean {
    return this.#running.replacesAtOnce(release, configuration);
  }

  /** An instance of that version crashed. */
  crashed(release: Release, { fault }: PluginError): void {
    const { onTrial } = this.#running;
    // What another plugin did to a VM that they share tells nothing of this one.
    if (onTrial === undefined || fault === "shared") return;
    if (release === this.#running.stable) onTrial.trial.stableTrapped();
    if (release !== onTrial.release) return;
    onTrial.trial.trapped();
    if (release.crashedBecause !== undefined) this.#rollout.condemn(release.crashedBecause);
  }

  /** Ends everything, at the latest after `closeMs`; a deploy that takes longer fails when it is through. */
  async close(): Promise<void> {
    const { closeMs } = this.#options;
    this.#isClosed = true;
    this.#rollout[Symbol.dispose]();
    this.#deploys.cancel(this.#closed());
    await this.#turns.ended(closeMs);
    await this.#running.close(closeMs);
  }

  async #transit(event: RolloutEvent, terms: TransitionTerms): Promise<void> {
    const before = this.#running.stable;
    try {
      await this.#rollout.transit(event, terms);
    } finally {
      this.#switchedFrom(before);
    }
  }

  #switchedFrom(before: Release | undefined): void {
    const { stable } = this.#running;
    if (stable === undefined || stable === before) return;
    this.#hasRun = true;
    this.#withdrawn = undefined;
    this.#refusal = undefined;
  }

  async #keepAndPrepare(artifact: PluginArtifact, { progress }: DeployOptions): Promise<PreparedPlugin> {
    const { prepare, store } = this.#options;
    const [prepared, kept] = await Promise.allSettled([
      timed(progress, "compile", () => prepare(artifact)),
      store === undefined ? undefined : timed(progress, "keep", () => store.keep(artifact)),
    ]);
    if (prepared.status === "rejected") throw prepared.reason;
    if (kept.status === "rejected") throw kept.reason;
    return prepared.value;
  }

  /** Nothing is tried beside a version that does not serve. */
  #policyOf(policy: RolloutPolicy): RolloutPolicy {
    const { stable } = this.#running;
    return stable === undefined || stable.crashedBecause !== undefined ? { ...policy, canary: undefined } : policy;
  }

  /** Whether the artifact is stable already, or on trial under that policy. */
  #runs(artifact: PluginArtifact, policy: RolloutPolicy | undefined): boolean {
    const { state } = this.#rollout;
    const isPolicyOfTrial =
      policy === undefined || ("policy" in state && JSON.stringify(policy) === JSON.stringify(state.policy));
    const { stable, onTrial } = this.#running;
    return [stable, isPolicyOfTrial ? onTrial?.release : undefined].some(
      (release) => release !== undefined && release.crashedBecause === undefined && isOf(release, artifact),
    );
  }

  /** Who deploys what is stable wants nothing else: another version on trial is gone. */
  async #endTrialBeside(artifact: PluginArtifact, by: string): Promise<void> {
    const { onTrial } = this.#running;
    if (onTrial === undefined || isOf(onTrial.release, artifact)) return;
    const reason = `version ${artifact.manifest.version} was deployed, which is stable`;
    await this.#transit({ type: "abort" }, { by, reason });
  }

  #refuse(
    error: PluginError,
    artifact: PluginArtifact | undefined,
    options: DeployOptions,
    lacksParts: boolean = false,
  ): void {
    const lacksGrants = artifact !== undefined && isHeldByGrants(artifact.manifest, this.#options.grants());
    this.#refusal = { error, artifact, options, lacksGrants, lacksParts };
  }

  /** Throws PluginError that names everything the manifest asks for and is not granted, or not there. */
  #requireMet(manifest: Manifest, lacking: string | undefined): void {
    if (lacking === undefined) return;
    const { name, version } = manifest;
    const held = ungranted(manifest, this.#options.grants())?.message;
    const message = held === undefined ? `plugin '${name}' ${lacking}` : `${held}; it ${lacking}`;
    throw new PluginError(name, version, "refused", message);
  }

  async #endTrial(reason: string): Promise<void> {
    if (this.#running.onTrial === undefined) return;
    await this.#transit({ type: "unfit" }, { by: ownName, reason });
  }

  /** Tries a refused deploy again when the reason of its refusal may be gone. */
  #retry(mayPass: (refusal: Refusal) => boolean): void {
    const refusal = this.#refusal;
    if (this.#isClosed || refusal?.artifact === undefined || !mayPass(refusal)) return;
    this.deploy(refusal.artifact, refusal.options).catch((error: unknown) => {
      if (!this.#isClosed) this.#options.failed(error);
    });
  }

  /** Whether nothing else is to be done once the deploys are ended that were under way. */
  #isThere(event: Operation): boolean {
    const { stable } = this.#rollout;
    const to = event.type === "rollback" ? event.to : undefined;
    return to === undefined || stable?.version === to || stable?.digest === to;
  }

  #cancelDeploys(by: string): () => DeployUnderWay | undefined {
    const { name } = this.#options;
    return this.#deploys.cancel(
      new PluginError(name, "", "conflict", `the deploy of plugin '${name}' was ended: ${by}`),
    );
  }

  /** Throws when who asked has left before it was their turn. */
  #requireAwaited(signal: AbortSignal | undefined): void {
    if (signal?.aborted !== true) return;
    const { name } = this.#options;
    throw new PluginError(
      name,
      "",
      "closed",
      `nothing was done to plugin '${name}': who asked left before it was their turn`,
    );
  }

  #requireOpen(): void {
    if (this.#isClosed) throw this.#closed();
  }

  #closed(): PluginError {
    const { name } = this.#options;
    return new PluginError(name, "", "closed", `plugin '${name}' is not deployed: the sidecar shuts down`);
  }

  #missing(): PluginError {
    const { name } = this.#options;
    const why = this.#refusal === undefined ? "" : `: ${this.#refusal.error.message}`;
    return new PluginError(name, "", "missing", `plugin '${name}' is not deployed${why}`);
  }
}

const isOf = ({ prepared, manifest }: Release, artifact: PluginArtifact): boolean =>
  prepared.digest === artifact.digest && JSON.stringify(manifest) === JSON.stringify(artifact.manifest);

function versionOf({ manifest, manifestText, digest, origin }: PluginArtifact, by: string): VersionRecord {
  return { version: manifest.version, digest, manifest: manifestText, origin, by, deployedAt: Date.now() };
}

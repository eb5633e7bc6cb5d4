import type { PluginArtifact } from "./artifact.ts";
import { makeUse } from "./binding.ts";
import type { PluginUse, UseOptions } from "./contract.ts";
import { type DeployTerms, deployPlugin } from "./deploy.ts";
import { DeploysUnderWay, type DeployUnderWay } from "./deploys-under-way.ts";
import { type Operation, operatePlugin } from "./operate.ts";
import type { DeployOptions } from "./operations.ts";
import { PluginError } from "./plugin-error.ts";
import { PluginTally } from "./plugin-tally.ts";
import type { PreparedPlugin } from "./prepare.ts";
import { LastRefusal } from "./refusal.ts";
import { regrantPlugin } from "./regrant.ts";
import { configurationText, type Release } from "./release.ts";
import { restorePlugin } from "./restore.ts";
import { isGoingBack, Rollout, type RolloutOptions, type Transit } from "./rollout/rollout.ts";
import { type RunningOptions, RunningVersions } from "./running-versions.ts";
import { statusOf } from "./slot-status.ts";
import type { PluginStatus, TrialStatus } from "./status.ts";
import { Turns } from "./turns.ts";
import { ownName, type PluginRecord, type VersionRecord } from "./versions.ts";

/** What a slot needs of the registry around it. */
export interface SlotOptions
  extends Omit<RolloutOptions, "running" | "later" | "requireOpen">,
    RunningOptions,
    Pick<DeployTerms, "lacks"> {
  /** Longest time that streams may go on after the slot was closed. */
  readonly closeMs: number;
  /** Told when nothing ran, was refused or is used under the name: anyone may ask for any name, so none is kept for that. */
  readonly emptied: () => void;
  /** Told that what runs was started anew, without a deploy. */
  readonly deployed: () => void;
}

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
  readonly #refusal: LastRefusal;
  #hasRun = false;
  #isClosed = false;

  constructor(options: SlotOptions) {
    const { grants, failed } = options;
    const running = new RunningVersions(options);
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
    this.#refusal = new LastRefusal({ grants, deployAgain: (artifact, terms) => this.#deployAgain(artifact, terms) });
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
      refusal: this.#refusal.current,
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
      await deployPlugin(artifact, options, { ...this.#parts, self, isClosed: () => this.#isClosed });
      this.#hasRun = true;
      this.#refusal.forget();
    });
  }

  /** What is deployed, as it is kept; undefined when nothing is. */
  get record(): PluginRecord | undefined {
    return this.#rollout.record;
  }

  /** Does what was asked for. Rejects with PluginError, and leaves everything as it is, when it is not possible. */
  operate(event: Operation, by: string, signal?: AbortSignal): Promise<void> {
    const ended = isGoingBack(event) ? this.#cancelDeploys(`${event.type} by ${by}`) : undefined;
    return this.#turns.take(() => operatePlugin(event, { ...this.#parts, by, signal, ended: ended?.() }));
  }

  /** Remembers why something of that name could not even be read. */
  refuse(error: PluginError): void {
    this.#refusal.remember(error);
  }

  /** Takes the plugin out of service, with everything that is kept of it. */
  remove(by: string): Promise<void> {
    this.#cancelDeploys(`undeploy by ${by}`);
    return this.#turns.take(async () => {
      if (this.#rollout.state.phase !== "none") await this.#transit({ type: "removed" }, { by });
      this.#refusal.forget();
      this.#withdrawn = undefined;
    });
  }

  /** Brings back what was kept; what cannot be run is told of. No effect when something is deployed. */
  restore(record: PluginRecord, load: (version: VersionRecord) => Promise<PluginArtifact>): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#rollout.state.phase !== "none") return;
      const failure = await restorePlugin(record, { ...this.#parts, grants: this.#options.grants(), load });
      this.#hasRun = true;
      if (failure !== undefined) this.#refusal.remember(failure.error, failure.artifact);
    });
  }

  /** Holds what runs, or was refused, against grants that have changed. */
  regrant(): Promise<void> {
    this.#deploys.putOff();
    return this.#turns.take(async () => {
      const { failed, deployed } = this.#options;
      await regrantPlugin({
        ...this.#parts,
        withdrawn: this.#withdrawn,
        endTrial: (reason) => this.#endTrial(reason),
        withdraw: (prepared, error) => {
          this.#withdrawn = prepared;
          this.#refusal.remember(error);
          this.#running.leaveService();
          failed(error);
        },
        restarted: () => {
          this.#switchedFrom(undefined);
          deployed();
        },
        notRestarted: (error) => {
          if (error instanceof PluginError) this.#refusal.remember(error);
          failed(error);
        },
      });
      this.#refusal.retry(({ lacksGrants, lacksParts }) => lacksGrants && !lacksParts);
    });
  }

  /** Tries again what was refused for want of parts of the sidecar, when they have come. */
  reconsider(): Promise<void> {
    return this.#turns.take(async () => {
      const { artifact, lacksParts = false } = this.#refusal.current ?? {};
      if (artifact === undefined || !lacksParts) return;
      if ((await this.#options.lacks(artifact.manifest)) === undefined) this.#refusal.retry(() => true);
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
          this.#refusal.retry(({ error }) => error.fault === "configuration");
          const hasNone = !this.#hasRun && this.#refusal.current === undefined;
          if (hasNone && !this.#running.isUsed && this.#turns.isIdle) this.#options.emptied();
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

  /** What there is to work with when it is the turn of what was asked for. */
  get #parts() {
    return {
      ...this.#options,
      running: this.#running,
      rollout: this.#rollout,
      refusal: this.#refusal,
      transit: this.#transit,
      requireOpen: () => this.#requireOpen(),
    };
  }

  readonly #transit: Transit = async (event, terms) => {
    const before = this.#running.stable;
    try {
      await this.#rollout.transit(event, terms);
    } finally {
      this.#switchedFrom(before);
    }
  };

  #switchedFrom(before: Release | undefined): void {
    const { stable } = this.#running;
    if (stable === undefined || stable === before) return;
    this.#hasRun = true;
    this.#withdrawn = undefined;
    this.#refusal.forget();
  }

  async #endTrial(reason: string): Promise<void> {
    if (this.#running.onTrial === undefined) return;
    await this.#transit({ type: "unfit" }, { by: ownName, reason });
  }

  #deployAgain(artifact: PluginArtifact, options: DeployOptions): void {
    if (this.#isClosed) return;
    this.deploy(artifact, options).catch((error: unknown) => {
      if (!this.#isClosed) this.#options.failed(error);
    });
  }

  #cancelDeploys(by: string): () => DeployUnderWay | undefined {
    const { name } = this.#options;
    return this.#deploys.cancel(
      new PluginError(name, "", "conflict", `the deploy of plugin '${name}' was ended: ${by}`),
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
    const { current } = this.#refusal;
    const why = current === undefined ? "" : `: ${current.error.message}`;
    return new PluginError(name, "", "missing", `plugin '${name}' is not deployed${why}`);
  }
}

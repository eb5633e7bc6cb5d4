import { messageOf } from "../../components/thrown.ts";
import { late } from "../late.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { turn } from "../turn.ts";
import type { PluginArtifact } from "./artifact.ts";
import type { PluginSource, PluginUse, UseOptions } from "./contract.ts";
import type { CrashLimits } from "./crash-budget.ts";
import type { Grants } from "./grants.ts";
import { type LifecycleMetrics, openLifecycleMetrics } from "./lifecycle-metrics.ts";
import type { Manifest } from "./manifest.ts";
import type { Operation } from "./operate.ts";
import type { DeployOptions, PluginOperations } from "./operations.ts";
import { PluginError } from "./plugin-error.ts";
import type { PluginSlot } from "./plugin-slot.ts";
import type { PluginToolchain, PreparedPlugin } from "./prepare.ts";
import type { PluginServices } from "./release.ts";
import { openRolloutMetrics, type RolloutMetrics } from "./rollout/rollout-metrics.ts";
import type { PluginStatus, TrialStatus } from "./status.ts";
import { type HistoryEntry, ownName, type PluginRecord, type VersionRecord, type VersionStore } from "./versions.ts";

/** A plugin whose capabilities are granted: what its services may be built from. */
export type GrantedPlugin = Readonly<Pick<Manifest, "name" | "version" | "kind" | "vmId" | "capabilities">>;

export interface PluginRegistryOptions {
  /** Asked for what compiles and runs plugins when there is one to deploy. */
  readonly toolchain: () => Promise<PluginToolchain>;
  /** What a version may reach; disposed, if it can be, when its last instance is gone. */
  readonly services: (plugin: GrantedPlugin) => PluginServices;
  /** `plugins.grants` of the configuration. */
  readonly grants: Grants;
  /**
   * What the sidecar does not have of what a plugin needs, as the rest of a sentence about it; undefined when it has all.
   * Asked before anything of a version is started; default all is there.
   */
  readonly requires?: (manifest: Manifest) => Promise<string | undefined>;
  /** Told by which manifest a plugin takes streams from now on; of none when it takes none any more. */
  readonly switched?: (plugin: string, manifest: Manifest | undefined) => void;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Longest time that streams go on on a version after it was replaced; default 5 minutes. */
  readonly drainMs?: number;
  /** Longest time that closing takes; default 1 second. */
  readonly closeMs?: number;
  readonly crashLimits?: CrashLimits;
  /** Keeps what is deployed; without it nothing outlives the process. */
  readonly store?: VersionStore;
  /** Versions that can be gone back to, of each plugin; default 3, without a store 1. */
  readonly keep?: number;
}

type OpenSlot = typeof import("./open-slot.ts").openSlot;

/** The plugins of the process: deploys them, hands them to the data plane, and tells how they are. */
export class PluginRegistry implements PluginSource, PluginOperations, AsyncDisposable {
  readonly #options: PluginRegistryOptions;
  readonly #slots = new Map<string, PluginSlot>();
  readonly #metrics: LifecycleMetrics;
  readonly #rollouts: RolloutMetrics;
  /** By the ids that guests gave themselves; looked at with care, since guests come and go. */
  readonly #names = new Map<string, string>();
  #grants: Grants;
  readonly #slotsLoaded = late(loadSlots);
  /** What was last asked for of it. */
  #loading: Promise<OpenSlot> | undefined;

  constructor(options: PluginRegistryOptions) {
    this.#options = options;
    this.#grants = options.grants;
    this.#metrics = openLifecycleMetrics(options.metrics, () => this.#totals());
    this.#rollouts = openRolloutMetrics(options.metrics, () => this.#trials());
  }

  /**
   * Deploys the artifact under its manifest's name: checked, granted, compiled, started and configured aside, then switched
   * to, put on trial or left staged. Rejects with PluginError that says why, and what ran before goes on.
   */
  deploy(artifact: PluginArtifact, options: DeployOptions = {}): Promise<PluginStatus> {
    const { name } = artifact.manifest;
    return this.#in(name, async (slot) => {
      await slot.deploy(artifact, options);
      return statusAfter(slot, name);
    });
  }

  expect(): void {
    // What fails to load here fails the deploy, and is told there.
    this.#expect().catch(() => {});
  }

  /** Compiles what will be deployed soon, so that the deploy finds it compiled. What is wrong with it the deploy tells. */
  anticipate(artifact: PluginArtifact): void {
    this.#prepare(artifact).catch(() => {});
  }

  promote(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus> {
    return this.#operate(plugin, { type: "promote" }, by, signal);
  }

  abort(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus> {
    return this.#operate(plugin, { type: "abort" }, by, signal);
  }

  pause(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus> {
    return this.#operate(plugin, { type: "pause" }, by, signal);
  }

  resume(plugin: string, by: string, signal?: AbortSignal): Promise<PluginStatus> {
    return this.#operate(plugin, { type: "resume" }, by, signal);
  }

  rollback(plugin: string, by: string, to?: string, signal?: AbortSignal): Promise<PluginStatus> {
    return this.#operate(plugin, { type: "rollback", ...(to === undefined ? {} : { to }) }, by, signal);
  }

  async restore(record: PluginRecord, load: (version: VersionRecord) => Promise<PluginArtifact>): Promise<void> {
    await this.#in(record.plugin, async (slot) => {
      await slot.restore(record, load);
      if (slot.status?.state === "serving") this.#serves(record.plugin);
    });
  }

  /** Remembers, for `list`, why something meant for that name could not even be read. */
  async refuse(name: string, error: PluginError): Promise<void> {
    await this.#in(name, (slot) => slot.refuse(error));
    this.#metrics.deployed(name, "refused");
  }

  /** Takes the plugin out of service; its streams may end. No effect when there is none. */
  async remove(name: string, by = "directory"): Promise<void> {
    const slot = await this.#find(name);
    if (slot === undefined || (slot.status === undefined && !slot.isDeploying)) return;
    await slot.remove(by);
    this.#metrics.deployed(name, "removed");
    this.#options.log.info({ plugin: name, by }, `plugin '${name}' is removed`);
  }

  /** The versions of the plugin that are in effect, also those that are not kept yet; undefined when there are none. */
  record(plugin: string): PluginRecord | undefined {
    return this.#slots.get(plugin)?.record;
  }

  /** Every plugin that is deployed or was refused, by name. */
  list(): PluginStatus[] {
    const statuses = [...this.#slots.values()].flatMap(({ status }) => (status === undefined ? [] : [status]));
    return statuses.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  use(plugin: string, options: UseOptions): Promise<PluginUse> {
    return this.#in(plugin, (slot) => slot.use(options));
  }

  nameOf(id: string): string | undefined {
    const name = this.#names.get(id);
    return name !== undefined && this.#slots.get(name)?.reportedId === id ? name : undefined;
  }

  /**
   * Puts other grants in force. A plugin that now asks for more than it has is taken out of service, as it would be after a
   * restart; one that was refused for its grants, or taken out, is deployed when they suffice.
   */
  async updateGrants(grants: Grants): Promise<void> {
    this.#grants = grants;
    await Promise.all([...this.#slots.values()].map((slot) => slot.regrant()));
  }

  /** Asks again what is required: a deploy that was refused for what was not there is tried again when it is. */
  async partsChanged(): Promise<void> {
    await Promise.all([...this.#slots.values()].map((slot) => slot.reconsider()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#loading]);
    await Promise.all([...this.#slots.values()].map((slot) => slot.close()));
    this.#metrics[Symbol.dispose]();
    this.#rollouts[Symbol.dispose]();
  }

  async #expect(): Promise<void> {
    await turn();
    await this.#options.toolchain();
    await turn();
    this.#loading = this.#slotsLoaded();
    await this.#loading;
    await import("./prepare.ts");
  }

  async #prepare(artifact: PluginArtifact): Promise<PreparedPlugin> {
    const { preparePlugin } = await import("./prepare.ts");
    await turn();
    const toolchain = await this.#options.toolchain();
    await turn();
    return preparePlugin(artifact, { ...toolchain, grants: this.#grants });
  }

  /** Does something with what runs under the name, which is made when there is none. */
  async #in<Result>(name: string, task: (slot: PluginSlot) => Result): Promise<Awaited<Result>> {
    this.#loading = this.#slotsLoaded();
    const openSlot = await this.#loading;
    return await task(this.#slots.get(name) ?? this.#open(name, openSlot));
  }

  /** What runs under the name, once what was asked for before it has begun. */
  async #find(name: string): Promise<PluginSlot | undefined> {
    await Promise.allSettled([this.#loading]);
    return this.#slots.get(name);
  }

  #open(name: string, openSlot: OpenSlot): PluginSlot {
    const slot = openSlot(this.#options, {
      name,
      metrics: this.#metrics,
      grants: () => this.#grants,
      prepare: (artifact) => this.#prepare(artifact),
      emptied: () => this.#slots.delete(name),
      happened: (entry) => this.#happened(entry),
      deployed: () => this.#serves(name),
    });
    this.#slots.set(name, slot);
    return slot;
  }

  async #operate(plugin: string, operation: Operation, by: string, signal?: AbortSignal): Promise<PluginStatus> {
    const slot = await this.#find(plugin);
    if (slot === undefined) throw new PluginError(plugin, "", "missing", `plugin '${plugin}' is not deployed`);
    await slot.operate(operation, by, signal);
    return statusAfter(slot, plugin);
  }

  /** Logs and counts what was done or refused, and writes it into the history. */
  async #happened(entry: HistoryEntry): Promise<void> {
    const { plugin, version, digest, action, by, outcome, reason } = entry;
    const { log, store } = this.#options;
    if (action === "deploy") this.#metrics.deployed(plugin, outcome === "done" ? "deployed" : "refused");
    this.#rollouts.happened(entry);
    if (outcome === "done" && action !== "undeploy") {
      this.#rememberId(plugin);
      const why = reason === undefined ? "" : `: ${reason}`;
      const status = this.#slots.get(plugin)?.status;
      const fields = { plugin, version, digest, engine: status?.engine, kind: status?.kind, by };
      const level = action === "rollback" && by === ownName ? "warn" : "info";
      log[level](fields, `plugin '${plugin}' ${version} ${saidOf(entry, status)}${why}`);
    }
    await store?.log(entry).catch((error: unknown) => {
      log.error({ plugin }, `the history of plugin '${plugin}' could not be written: ${messageOf(error)}`);
    });
  }

  /** A version that was started without a deploy takes the streams. */
  #serves(name: string): void {
    this.#rememberId(name);
    const status = this.#slots.get(name)?.status;
    if (status === undefined) return;
    const { version, digest, engine, kind } = status;
    this.#options.log.info({ plugin: name, version, digest, engine, kind }, `plugin '${name}' ${version} is deployed`);
  }

  #rememberId(name: string): void {
    const id = this.#slots.get(name)?.reportedId ?? "";
    if (id !== "") this.#names.set(id, name);
  }

  *#trials(): Generator<readonly [plugin: string, trial: TrialStatus]> {
    for (const [name, { trial }] of this.#slots) if (trial !== undefined) yield [name, trial];
  }

  *#totals(): Generator<readonly [plugin: string, totals: ReturnType<PluginSlot["tally"]["totals"]>]> {
    for (const [name, { tally, isKnown }] of this.#slots) if (isKnown) yield [name, tally.totals()];
  }
}

/** What the log says of a version. */
function saidOf({ action, version, digest }: HistoryEntry, status: PluginStatus | undefined): string {
  switch (action) {
    case "deploy":
      if (status?.trial?.version !== version || status.trial.digest !== digest) return "is deployed";
      return status.trial.phase === "staged" ? "is staged" : "is on trial";
    case "promote":
      return "is promoted";
    case "pause":
      return "has its trial paused";
    case "resume":
      return "goes on with its trial";
    case "rollback":
      return status?.version === version && status.digest === digest ? "is gone back to" : "is rolled back";
    default:
      return "is gone";
  }
}

/** The plugin as it is after an operation; throws when it was removed meanwhile. */
function statusAfter(slot: PluginSlot, name: string): PluginStatus {
  if (slot.status !== undefined) return slot.status;
  throw new PluginError(name, "", "missing", `plugin '${name}' was removed meanwhile`);
}

/** Traffic has its turn before what was loaded is used. */
async function loadSlots(): Promise<OpenSlot> {
  const { openSlot } = await import("./open-slot.ts");
  await turn();
  return openSlot;
}

import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { PluginArtifact } from "./artifact.ts";
import type { PluginSource, PluginUse, UseOptions } from "./contract.ts";
import { type CrashLimits, defaultCrashLimits } from "./crash-budget.ts";
import type { Grants } from "./grants.ts";
import { type LifecycleMetrics, openLifecycleMetrics } from "./lifecycle-metrics.ts";
import type { Manifest } from "./manifest.ts";
import { PluginError } from "./plugin-error.ts";
import { PluginSlot } from "./plugin-slot.ts";
import type { PluginToolchain, PreparedPlugin } from "./prepare.ts";
import { type PluginServices, Release } from "./release.ts";
import type { PluginStatus } from "./status.ts";

/** A plugin whose capabilities are granted: what its services may be built from. */
export type GrantedPlugin = Readonly<Pick<Manifest, "name" | "version" | "kind" | "vmId" | "capabilities">>;

export interface PluginRegistryOptions {
  /** Asked for what compiles and runs plugins when there is one to deploy. */
  readonly toolchain: () => Promise<PluginToolchain>;
  /** What a version may reach; disposed, if it can be, when its last instance is gone. */
  readonly services: (plugin: GrantedPlugin) => PluginServices;
  /** `plugins.grants` of the configuration. */
  readonly grants: Grants;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Longest time that streams go on on a version after it was replaced; default 5 minutes. */
  readonly drainMs?: number;
  /** Longest time that closing takes; default 1 second. */
  readonly closeMs?: number;
  readonly crashLimits?: CrashLimits;
}

const defaultDrainMs = 300_000;
const defaultCloseMs = 1_000;

/** The plugins of the process: deploys them, hands them to the data plane, and tells how they are. */
export class PluginRegistry implements PluginSource, AsyncDisposable {
  readonly #options: PluginRegistryOptions;
  readonly #slots = new Map<string, PluginSlot>();
  readonly #metrics: LifecycleMetrics;
  /** By the ids that guests gave themselves; looked at with care, since guests come and go. */
  readonly #names = new Map<string, string>();
  #grants: Grants;

  constructor(options: PluginRegistryOptions) {
    this.#options = options;
    this.#grants = options.grants;
    this.#metrics = openLifecycleMetrics(options.metrics, () => this.#totals());
  }

  /**
   * Deploys the artifact under its manifest's name: checked, granted, compiled, started and configured aside, then switched
   * to. Rejects with PluginError that says why, and what ran before goes on; deploying what runs already changes nothing.
   */
  async deploy(artifact: PluginArtifact): Promise<PluginStatus> {
    const { name } = artifact.manifest;
    const slot = this.#slot(name);
    const before = slot.running;
    try {
      await slot.deploy(artifact);
    } catch (error) {
      this.#metrics.deployed(name, "refused");
      throw error;
    }
    const { status } = slot;
    if (status === undefined) throw new PluginError(name, "", "missing", `plugin '${name}' was removed meanwhile`);
    if (slot.running !== before) this.#deployed(status);
    return status;
  }

  /** Remembers, for `list`, why something meant for that name could not even be read. */
  refuse(name: string, error: PluginError): void {
    this.#slot(name).refuse(error);
    this.#metrics.deployed(name, "refused");
  }

  /** Takes the plugin out of service; its streams may end. No effect when there is none. */
  async remove(name: string): Promise<void> {
    const slot = this.#slots.get(name);
    if (slot === undefined || slot.status === undefined) return;
    await slot.remove();
    this.#metrics.deployed(name, "removed");
    this.#options.log.info({ plugin: name }, `plugin '${name}' is removed`);
  }

  /** Every plugin that is deployed or was refused, by name. */
  list(): PluginStatus[] {
    const statuses = [...this.#slots.values()].flatMap(({ status }) => (status === undefined ? [] : [status]));
    return statuses.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  use(plugin: string, options: UseOptions): Promise<PluginUse> {
    return this.#slot(plugin).use(options);
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

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#slots.values()].map((slot) => slot.close()));
    this.#metrics[Symbol.dispose]();
  }

  async #prepare(artifact: PluginArtifact): Promise<PreparedPlugin> {
    const [toolchain, { preparePlugin }] = await Promise.all([this.#options.toolchain(), import("./prepare.ts")]);
    return preparePlugin(artifact, { ...toolchain, grants: this.#grants });
  }

  #slot(name: string): PluginSlot {
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    const { drainMs = defaultDrainMs, closeMs = defaultCloseMs } = this.#options;
    const slot: PluginSlot = new PluginSlot({
      name,
      grants: () => this.#grants,
      prepare: (artifact) => this.#prepare(artifact),
      release: (prepared) => this.#release(slot, prepared),
      drainMs,
      closeMs,
      emptied: () => this.#slots.delete(name),
      deployed: (status) => this.#deployed(status),
      refused: (error) => this.#options.log.error({ plugin: name }, messageOf(error)),
    });
    this.#slots.set(name, slot);
    return slot;
  }

  #release(slot: PluginSlot, prepared: PreparedPlugin): Release {
    const { name, version, kind, vmId, capabilities } = prepared.manifest;
    return new Release(prepared, {
      services: this.#options.services({ name, version, kind, vmId, capabilities }),
      tally: slot.tally,
      timings: this.#metrics.timingsOf(name),
      crashLimits: this.#options.crashLimits ?? defaultCrashLimits,
      now: () => performance.now(),
      replacesAtOnce: (configuration) => slot.replacesAtOnce(configuration),
      crashed: (error, consequence) => {
        slot.tally.trapped();
        this.#metrics.trapped(name, error);
        this.#options.log.error({ plugin: name, version, fault: error.fault }, `${error.message}; ${consequence}`);
      },
    });
  }

  #deployed({ name, version, digest, engine, kind }: PluginStatus): void {
    const id = this.#slots.get(name)?.reportedId ?? "";
    if (id !== "") this.#names.set(id, name);
    this.#metrics.deployed(name, "deployed");
    this.#options.log.info({ plugin: name, version, digest, engine, kind }, `plugin '${name}' ${version} is deployed`);
  }

  *#totals(): Generator<readonly [plugin: string, totals: ReturnType<PluginSlot["tally"]["totals"]>]> {
    for (const [name, { tally, isKnown }] of this.#slots) if (isKnown) yield [name, tally.totals()];
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

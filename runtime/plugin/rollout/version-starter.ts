import type { PluginArtifact } from "../artifact.ts";
import { type Grants, requireGranted, restrictionsOf } from "../grants.ts";
import type { DeployStep } from "../operations.ts";
import { PluginError } from "../plugin-error.ts";
import type { PreparedPlugin } from "../prepare.ts";
import type { Release } from "../release.ts";
import type { RunningVersions } from "../running-versions.ts";
import { timed } from "../timed.ts";
import type { VersionRecord, VersionStore } from "../versions.ts";
import { isSameVersion } from "./machine.ts";
import { warmUp } from "./warm-up.ts";

export interface StarterOptions {
  readonly name: string;
  readonly running: RunningVersions;
  readonly grants: () => Grants;
  /** Makes a plugin ready to start; rejects with PluginError. */
  readonly prepare: (artifact: PluginArtifact) => Promise<PreparedPlugin>;
  /** Without one, nothing outlives the process, and one previous version is kept in memory. */
  readonly store: VersionStore | undefined;
}

/** What is at hand for a start. */
export interface StartTerms {
  /** The version to be started, when it is not one that is kept. */
  readonly prepared?: PreparedPlugin;
  /** Synthetic requests that it is given before it takes any. */
  readonly warmUp?: number;
  /** Ends it: it rejects with the reason. */
  readonly signal?: AbortSignal;
  readonly progress?: ((step: DeployStep) => void) | undefined;
}

/** Starts versions of one plugin aside: a new one, one that is kept on disk, or the one before, which it keeps compiled. */
export class VersionStarter {
  readonly #options: StarterOptions;
  /** The newest of the previous versions, compiled. */
  #warm: { readonly version: VersionRecord; readonly prepared: PreparedPlugin } | undefined;

  constructor(options: StarterOptions) {
    this.#options = options;
  }

  /** Starts the version, and warms it up. Rejects with PluginError, and leaves nothing that runs. */
  async start(version: VersionRecord, terms: StartTerms): Promise<Release> {
    const { running } = this.#options;
    const prepared = terms.prepared ?? (await this.#prepared(version));
    const release = await timed(terms.progress, "start", () => running.start(prepared));
    const { warmUp: requests = 0, signal } = terms;
    try {
      signal?.throwIfAborted();
      if (requests === 0) return release;
      await timed(terms.progress, "warm-up", () => warmUp(release.pools(), release.manifest, { requests, signal }));
    } catch (error) {
      running.discard(release);
      throw error;
    }
    return release;
  }

  /** Starts what runs once more, under the grants as they are now. Rejects with PluginError when they do not suffice. */
  async startAgain(prepared: PreparedPlugin): Promise<Release> {
    return this.#options.running.start(this.#asGranted(prepared));
  }

  /** Keeps the newest of the previous versions compiled, when it is the one that ran before. */
  keepWarm(newest: VersionRecord | undefined, before: VersionRecord | undefined, prepared?: PreparedPlugin): void {
    if (newest === this.#warm?.version) return;
    this.#warm =
      newest !== undefined && newest === before && prepared !== undefined ? { version: newest, prepared } : undefined;
  }

  /** A version that is kept: the warm one, or one from the disk. */
  async #prepared(version: VersionRecord): Promise<PreparedPlugin> {
    if (this.#warm !== undefined && isSameVersion(this.#warm.version, version)) {
      return this.#asGranted(this.#warm.prepared);
    }
    const { name, store, prepare } = this.#options;
    if (store === undefined) throw conflict(name, `has version ${version.version} no more: nothing is kept on disk`);
    return prepare(await store.load(version));
  }

  /** The plugin as the grants are now; throws PluginError when they do not suffice. */
  #asGranted(prepared: PreparedPlugin): PreparedPlugin {
    const grants = this.#options.grants();
    requireGranted(prepared.manifest, grants);
    return { ...prepared, restrictions: restrictionsOf(prepared.manifest, grants) };
  }
}

/** The error for what the plugin's versions, as they are, do not let be done. */
export const conflict = (name: string, what: string): PluginError =>
  new PluginError(name, "", "conflict", `plugin '${name}' ${what}`);

import { type Binding, textOf } from "./binding.ts";
import type { Manifest } from "./manifest.ts";
import { PluginError } from "./plugin-error.ts";
import type { InstancePool } from "./pool.ts";
import type { PreparedPlugin } from "./prepare.ts";
import { configurationText, type Release } from "./release.ts";
import type { Trial } from "./rollout/trial.ts";

export interface RunningOptions {
  readonly release: (prepared: PreparedPlugin) => Release;
  /** Longest time that streams of a version may go on after it was replaced. */
  readonly drainMs: number;
  /** Told of the manifest by which streams are taken from now on; of none when nothing takes them any more. */
  readonly switched: (manifest: Manifest | undefined) => void;
  /** Told what went wrong where nobody can be told. */
  readonly failed: (error: unknown) => void;
}

/**
 * The versions of one plugin that run: the stable one, one on trial, and those that drain, each with every configuration in
 * use. What changes which version takes streams is done in one step; only starting takes time.
 */
export class RunningVersions {
  readonly #options: RunningOptions;
  readonly #bindings = new Map<string, Binding>();
  readonly #retiring = new Map<Release, Promise<void>>();
  #stable: Release | undefined;
  #onTrial: { readonly release: Release; readonly trial: Trial } | undefined;

  constructor(options: RunningOptions) {
    this.#options = options;
  }

  get stable(): Release | undefined {
    return this.#stable;
  }

  get onTrial(): { readonly release: Release; readonly trial: Trial } | undefined {
    return this.#onTrial;
  }

  get isUsed(): boolean {
    return this.#bindings.size > 0;
  }

  /** Starts a version aside with every configuration in use, and with its own. Rejects with PluginError, and leaves nothing. */
  async start(prepared: PreparedPlugin): Promise<Release> {
    const release = this.#options.release(prepared);
    try {
      await this.#openPools(release);
    } catch (error) {
      this.discard(release);
      throw error;
    }
    return release;
  }

  /** Ends a version that was started and takes no streams. */
  discard(release: Release): void {
    this.#retire(release, new Map(), 0);
  }

  /** Lets the version take every stream that begins; the stable one before it drains. */
  switchTo(release: Release): void {
    const before = this.#stable;
    const successors = new Map<InstancePool, InstancePool>();
    for (const binding of this.#bindings.values()) {
      const pool = release.poolFor(textOf(binding, release.manifest));
      if (binding.pool !== undefined && pool !== undefined) successors.set(binding.pool, pool);
      binding.pool = pool;
    }
    this.#stable = release;
    if (before !== undefined) this.#retire(before, successors, this.#options.drainMs);
    this.#prune();
    this.#options.switched(release.manifest);
  }

  /** Puts the version on trial; `divide` then says whether it takes streams. */
  tryOut(release: Release, trial: Trial): void {
    this.#onTrial = { release, trial };
    this.divide();
    this.#prune();
  }

  /** Gives the version on trial its share, or none, as its trial is now. */
  divide(): void {
    for (const binding of this.#bindings.values()) this.#divide(binding);
  }

  /** Ends the trial; the version goes on running without streams, for the caller to take or to retire. */
  endTrial(): Release | undefined {
    const ended = this.#onTrial;
    if (ended === undefined) return undefined;
    ended.trial[Symbol.dispose]();
    this.#onTrial = undefined;
    this.divide();
    return ended.release;
  }

  /** Lets a version that was on trial finish its streams; those that wait for an instance go on to the stable one. */
  retireCandidate(release: Release): void {
    const successors = new Map<InstancePool, InstancePool>();
    for (const binding of this.#bindings.values()) {
      const pool = release.poolFor(textOf(binding, release.manifest));
      if (pool !== undefined && binding.pool?.ready === true) successors.set(pool, binding.pool);
    }
    this.#retire(release, successors, this.#options.drainMs);
  }

  /** Nothing takes streams any more. */
  leaveService(): void {
    const candidate = this.endTrial();
    for (const binding of this.#bindings.values()) binding.pool = undefined;
    for (const release of [candidate, this.#stable]) {
      if (release !== undefined) this.#retire(release, new Map(), this.#options.drainMs);
    }
    this.#stable = undefined;
    this.#options.switched(undefined);
  }

  /**
   * The binding of that configuration, started on each version when there is none. Rejects with PluginError when the guest of
   * the stable version refuses it; the one on trial is told of by `unfit`.
   */
  async bind(given: string | undefined, unfit: (error: PluginError) => void): Promise<Binding> {
    const key = keyOf(given);
    const known = this.#bindings.get(key);
    if (known !== undefined) return known;
    const binding: Binding = { given, users: new Set(), pool: undefined, trial: undefined };
    const release = this.#stable;
    if (release !== undefined) binding.pool = await release.openPool(textOf(binding, release.manifest));
    const candidate = this.#onTrial?.release;
    if (candidate !== undefined) {
      try {
        await candidate.openPool(textOf(binding, candidate.manifest));
      } catch (error) {
        if (!(error instanceof PluginError)) throw error;
        unfit(error);
      }
    }
    this.#bindings.set(key, binding);
    this.#divide(binding);
    return binding;
  }

  /** Forgets the binding when nobody uses it; whether it did. */
  unbind(binding: Binding): boolean {
    const key = keyOf(binding.given);
    if (binding.users.size > 0 || this.#bindings.get(key) !== binding) return false;
    this.#bindings.delete(key);
    this.#prune();
    return true;
  }

  /** Whether a use of that configuration wants a crashed instance replaced at once. */
  replacesAtOnce({ manifest }: Release, configuration: string): boolean {
    return [...this.#bindings.values()]
      .filter((binding) => textOf(binding, manifest) === configuration)
      .some(({ users }) => [...users].some(({ fail }) => fail === "reload"));
  }

  /** Ends everything, at the latest after `closeMs`. */
  async close(closeMs: number): Promise<void> {
    this.leaveService();
    for (const release of this.#retiring.keys()) release.retire(closeMs, () => undefined).catch(this.#options.failed);
    await Promise.all(this.#retiring.values());
  }

  async #openPools(release: Release): Promise<void> {
    const { manifest } = release;
    const inUse = new Set([...this.#bindings.values()].map((binding) => textOf(binding, manifest)));
    const started = await Promise.allSettled([...inUse].map((configuration) => release.openPool(configuration)));
    for (const result of started) if (result.status === "rejected") throw result.reason;
    const own = configurationText(manifest.configuration);
    const hasOwn = manifest.configuration !== undefined;
    if (inUse.has(own) || (!hasOwn && inUse.size > 0)) return;
    try {
      await release.openPool(own);
    } catch (error) {
      // A plugin that leaves its configuration to the routes may insist on one.
      if (hasOwn || !(error instanceof PluginError) || error.fault !== "configuration") throw error;
    }
  }

  #divide(binding: Binding): void {
    const onTrial = this.#onTrial;
    const pool =
      onTrial?.trial.hasTraffic === true
        ? onTrial.release.poolFor(textOf(binding, onTrial.release.manifest))
        : undefined;
    binding.trial = onTrial === undefined || pool === undefined ? undefined : { trial: onTrial.trial, pool };
  }

  /** Lets go of instances whose configuration nobody uses. A service's own stays: it may have work without any stream. */
  #prune(): void {
    for (const release of [this.#stable, this.#onTrial?.release]) {
      if (release === undefined) continue;
      const keep = new Set([...this.#bindings.values()].map((binding) => textOf(binding, release.manifest)));
      if (release.manifest.kind === "service") keep.add(configurationText(release.manifest.configuration));
      release.prune(keep, this.#options.drainMs);
    }
  }

  #retire(release: Release, successors: ReadonlyMap<InstancePool, InstancePool>, drainMs: number): void {
    const retired = release
      .retire(drainMs, (pool) => successors.get(pool))
      .catch((error: unknown) => this.#options.failed(error))
      .finally(() => this.#retiring.delete(release));
    this.#retiring.set(release, retired);
  }
}

const keyOf = (given: string | undefined): string => (given === undefined ? "manifest" : `given ${given}`);

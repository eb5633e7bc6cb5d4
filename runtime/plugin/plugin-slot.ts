import type { PluginArtifact } from "./artifact.ts";
import type {
  ConnectionFilter,
  ConnectionHost,
  FailPolicy,
  PluginUse,
  StreamFilter,
  StreamHost,
  UseOptions,
} from "./contract.ts";
import { type Grants, requireGranted, restrictionsOf } from "./grants.ts";
import type { Manifest } from "./manifest.ts";
import { PluginError } from "./plugin-error.ts";
import { PluginTally } from "./plugin-tally.ts";
import type { InstancePool } from "./pool.ts";
import type { PreparedPlugin } from "./prepare.ts";
import { configurationText, type Release } from "./release.ts";
import type { PluginStatus } from "./status.ts";

/** What a slot needs of the registry around it. */
export interface SlotOptions {
  readonly name: string;
  readonly grants: () => Grants;
  /** Makes a plugin ready to start; rejects with PluginError. */
  readonly prepare: (artifact: PluginArtifact) => Promise<PreparedPlugin>;
  readonly release: (prepared: PreparedPlugin) => Release;
  /** Longest time that streams of a version may go on after it was replaced, and after the slot was closed. */
  readonly drainMs: number;
  readonly closeMs: number;
  /** Told when nothing ran, was refused or is used under the name: anyone may ask for any name, so none is kept for that. */
  readonly emptied: () => void;
  /** Told how a deploy ended that nobody waits for, and what went wrong where nobody can be told. */
  readonly deployed: (status: PluginStatus) => void;
  readonly refused: (error: unknown) => void;
}

/** One configuration in use, and the pool that serves it now. */
interface Binding {
  /** As a route gave it; undefined for the manifest's own. */
  readonly given: string | undefined;
  readonly users: Set<PluginUse>;
  pool: InstancePool | undefined;
}

interface Refusal {
  readonly error: PluginError;
  readonly artifact: PluginArtifact | undefined;
  readonly lacksGrants: boolean;
}

/**
 * What runs under one plugin's name. Deploys, removals and new configurations take turns; a version replaces another only when
 * it has started with every configuration in use.
 */
export class PluginSlot {
  readonly tally = new PluginTally();
  readonly #options: SlotOptions;
  readonly #bindings = new Map<string, Binding>();
  readonly #retiring = new Map<Release, Promise<void>>();
  #release: Release | undefined;
  /** Ran until its grants were withdrawn. */
  #withdrawn: PreparedPlugin | undefined;
  #refusal: Refusal | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #turns = 0;
  #hasRun = false;
  #isClosed = false;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** What runs now; another object after each deploy. */
  get running(): PreparedPlugin | undefined {
    return this.#release?.prepared;
  }

  /** The id that the guests gave themselves; empty when they have none, or nothing runs. */
  get reportedId(): string {
    return this.#release?.reportedId ?? "";
  }

  /** Whether anything ever ran here. */
  get isKnown(): boolean {
    return this.#hasRun;
  }

  /** What is known of the plugin; undefined when nothing was ever deployed, or it was removed. */
  get status(): PluginStatus | undefined {
    const { name } = this.#options;
    const known = this.#release?.prepared ?? this.#withdrawn;
    const manifest = known?.manifest ?? this.#refusal?.artifact?.manifest;
    if (known === undefined && this.#refusal === undefined) return undefined;
    const crash = this.#release?.crashedBecause;
    const reason = crash ?? this.#refusal?.error.message;
    return {
      name,
      version: manifest?.version ?? "",
      digest: known?.digest ?? this.#refusal?.artifact?.digest ?? "",
      kind: manifest?.kind ?? "filter",
      engine: known?.speaks ?? "",
      state: this.#release === undefined ? "refused" : crash === undefined ? "serving" : "crashed",
      ...(reason === undefined ? {} : { reason }),
      ...this.tally.totals(),
    };
  }

  /** Replaces what runs by the artifact. Rejects with PluginError and leaves everything as it is when any step fails. */
  deploy(artifact: PluginArtifact): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#runs(artifact)) {
        this.#refusal = undefined;
        return;
      }
      try {
        await this.#switchTo(await this.#options.prepare(artifact));
      } catch (error) {
        if (error instanceof PluginError) this.#refuse(error, artifact);
        throw error;
      }
    });
  }

  /** Remembers why something of that name could not even be read. */
  refuse(error: PluginError): void {
    this.#refuse(error, undefined);
  }

  /** Takes the plugin out of service. */
  remove(): Promise<void> {
    return this.#inTurn(async () => {
      this.#refusal = undefined;
      this.#withdrawn = undefined;
      this.#leaveService();
    });
  }

  /** Holds what runs, or was refused, against grants that have changed. */
  regrant(): Promise<void> {
    return this.#inTurn(async () => {
      const manifest = this.#release?.manifest;
      const error = manifest === undefined ? undefined : ungranted(manifest, this.#options.grants());
      if (error !== undefined) {
        this.#withdrawn = this.#release?.prepared;
        this.#refuse(error, undefined);
        this.#leaveService();
        this.#options.refused(error);
      } else if (this.#withdrawn !== undefined) {
        await this.#restore(this.#withdrawn);
      } else if (this.#release !== undefined) {
        const { prepared } = this.#release;
        const restrictions = restrictionsOf(prepared.manifest, this.#options.grants());
        if (JSON.stringify(restrictions) !== JSON.stringify(prepared.restrictions)) await this.#restore(prepared);
      }
      this.#retry(({ lacksGrants }) => lacksGrants);
    });
  }

  /** A use with that configuration. Rejects with PluginError when the guest that runs refuses it. */
  use(options: UseOptions): Promise<PluginUse> {
    return this.#inTurn(async () => {
      const given = options.configuration === undefined ? undefined : configurationText(options.configuration);
      const key = given === undefined ? "manifest" : `given ${given}`;
      const binding = this.#bindings.get(key) ?? (await this.#bind(key, given));
      const use = this.#useOf(binding, options.fail, () => this.#unbind(key, binding));
      binding.users.add(use);
      return use;
    });
  }

  /** Whether a use of that configuration wants a crashed instance replaced at once. */
  replacesAtOnce(configuration: string): boolean {
    const manifest = this.#release?.manifest;
    if (manifest === undefined) return false;
    return [...this.#bindings.values()]
      .filter((binding) => textOf(binding, manifest) === configuration)
      .some(({ users }) => [...users].some(({ fail }) => fail === "reload"));
  }

  /** Ends everything, at the latest after `closeMs`; a deploy that takes longer fails when it is through. */
  async close(): Promise<void> {
    const { closeMs } = this.#options;
    this.#isClosed = true;
    await within(closeMs, this.#turn);
    this.#leaveService();
    for (const release of this.#retiring.keys()) release.retire(closeMs, () => undefined).catch(this.#options.refused);
    await Promise.all(this.#retiring.values());
  }

  #inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    this.#turns++;
    const result = this.#turn
      .then(() => {
        if (this.#isClosed) throw this.#closed();
        return task();
      })
      .finally(() => this.#turns--);
    this.#turn = result.catch(() => {});
    return result;
  }

  #runs({ digest, manifest }: PluginArtifact): boolean {
    const release = this.#release;
    if (release === undefined || release.crashedBecause !== undefined || release.prepared.digest !== digest)
      return false;
    return JSON.stringify(release.manifest) === JSON.stringify(manifest);
  }

  #refuse(error: PluginError, artifact: PluginArtifact | undefined): void {
    const lacksGrants = artifact !== undefined && isHeldByGrants(artifact.manifest, this.#options.grants());
    this.#refusal = { error, artifact, lacksGrants };
  }

  /** Starts the version aside, with every configuration in use, then lets it take over in one step. */
  async #switchTo(prepared: PreparedPlugin): Promise<void> {
    const next = this.#options.release(prepared);
    try {
      await this.#start(next);
      if (this.#isClosed) throw this.#closed();
    } catch (error) {
      this.#retire(next, new Map(), 0);
      throw error;
    }
    const previous = this.#release;
    const successors = new Map<InstancePool, InstancePool>();
    for (const binding of this.#bindings.values()) {
      const pool = next.poolFor(textOf(binding, next.manifest));
      if (binding.pool !== undefined && pool !== undefined) successors.set(binding.pool, pool);
      binding.pool = pool;
    }
    this.#release = next;
    this.#hasRun = true;
    this.#withdrawn = undefined;
    this.#refusal = undefined;
    if (previous !== undefined) this.#retire(previous, successors, this.#options.drainMs);
    this.#prune();
  }

  async #start(next: Release): Promise<void> {
    const { manifest } = next;
    const inUse = new Set([...this.#bindings.values()].map((binding) => textOf(binding, manifest)));
    const started = await Promise.allSettled([...inUse].map((configuration) => next.openPool(configuration)));
    for (const result of started) if (result.status === "rejected") throw result.reason;
    const own = configurationText(manifest.configuration);
    const hasOwn = manifest.configuration !== undefined;
    if (inUse.has(own) || (!hasOwn && inUse.size > 0)) return;
    try {
      await next.openPool(own);
    } catch (error) {
      // A plugin that leaves its configuration to the routes may insist on one.
      if (hasOwn || !(error instanceof PluginError) || error.fault !== "configuration") throw error;
    }
  }

  async #restore(prepared: PreparedPlugin): Promise<void> {
    if (ungranted(prepared.manifest, this.#options.grants()) !== undefined) return;
    try {
      const restrictions = restrictionsOf(prepared.manifest, this.#options.grants());
      await this.#switchTo({ ...prepared, restrictions });
      if (this.status !== undefined) this.#options.deployed(this.status);
    } catch (error) {
      if (error instanceof PluginError) this.#refuse(error, undefined);
      this.#options.refused(error);
    }
  }

  /** Tries a refused deploy again when the reason of its refusal may be gone. */
  #retry(mayPass: (refusal: Refusal) => boolean): void {
    const refusal = this.#refusal;
    if (this.#isClosed || refusal?.artifact === undefined || !mayPass(refusal)) return;
    this.deploy(refusal.artifact).then(
      () => this.status !== undefined && this.#options.deployed(this.status),
      (error: unknown) => this.#options.refused(error),
    );
  }

  async #bind(key: string, given: string | undefined): Promise<Binding> {
    const binding: Binding = { given, users: new Set(), pool: undefined };
    const release = this.#release;
    if (release !== undefined) binding.pool = await release.openPool(textOf(binding, release.manifest));
    this.#bindings.set(key, binding);
    return binding;
  }

  #unbind(key: string, binding: Binding): void {
    if (binding.users.size > 0 || this.#bindings.get(key) !== binding) return;
    this.#bindings.delete(key);
    this.#prune();
    this.#retry(({ error }) => error.fault === "configuration");
    const isEmpty = this.#bindings.size === 0 && this.#turns === 0 && !this.#hasRun && this.#refusal === undefined;
    if (isEmpty) this.#options.emptied();
  }

  #useOf(binding: Binding, fail: FailPolicy | undefined, left: () => void): PluginUse {
    const slot = this;
    return {
      plugin: this.#options.name,
      get fail() {
        return fail ?? slot.#release?.manifest.fail ?? "closed";
      },
      get ready() {
        return binding.pool?.ready ?? false;
      },
      open(host: StreamHost): StreamFilter {
        if (binding.pool === undefined) throw slot.#missing();
        return binding.pool.open(host);
      },
      openConnection(host: ConnectionHost): ConnectionFilter {
        if (binding.pool === undefined) throw slot.#missing();
        return binding.pool.openConnection(host);
      },
      async [Symbol.asyncDispose]() {
        if (binding.users.delete(this)) left();
      },
    };
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

  #leaveService(): void {
    for (const binding of this.#bindings.values()) binding.pool = undefined;
    if (this.#release !== undefined) this.#retire(this.#release, new Map(), this.#options.drainMs);
    this.#release = undefined;
  }

  /** Lets go of instances whose configuration nobody uses. A service's own stays: it may have work without any stream. */
  #prune(): void {
    const release = this.#release;
    if (release === undefined) return;
    const keep = new Set([...this.#bindings.values()].map((binding) => textOf(binding, release.manifest)));
    if (release.manifest.kind === "service") keep.add(configurationText(release.manifest.configuration));
    release.prune(keep, this.#options.drainMs);
  }

  #retire(release: Release, successors: ReadonlyMap<InstancePool, InstancePool>, drainMs: number): void {
    const retired = release
      .retire(drainMs, (pool) => successors.get(pool))
      .catch((error: unknown) => this.#options.refused(error))
      .finally(() => this.#retiring.delete(release));
    this.#retiring.set(release, retired);
  }
}

const textOf = ({ given }: Binding, manifest: Manifest): string => given ?? configurationText(manifest.configuration);

/** Whether other grants might let it run. */
const isHeldByGrants = (manifest: Manifest, grants: Grants): boolean =>
  ungranted(manifest, grants) !== undefined || grants[manifest.name]?.allowedFunctions !== undefined;

function ungranted(manifest: Manifest, grants: Grants): PluginError | undefined {
  try {
    requireGranted(manifest, grants);
    return undefined;
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
}

/** Resolves when the work has ended, or the time is over. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  await Promise.race([work, over.promise]);
  clearTimeout(timer);
}

import { randomUUID } from "node:crypto";
import type { CallbackTimings, HostServices, PluginProgram } from "./contract.ts";
import { CrashBudget, type CrashLimits } from "./crash-budget.ts";
import type { Manifest } from "./manifest.ts";
import type { PluginError } from "./plugin-error.ts";
import type { PluginTally } from "./plugin-tally.ts";
import { InstancePool } from "./pool.ts";
import type { PoolSize } from "./pool-members.ts";
import type { PreparedPlugin } from "./prepare.ts";
import { fuelPerMillisecond } from "./sandbox/fuel.ts";
import { vmKeyOf } from "./vm-key.ts";

/** What a plugin may reach, and what must be let go when its last instance is gone. */
export type PluginServices = HostServices & Partial<AsyncDisposable & Disposable>;

export interface ReleaseOptions {
  readonly services: PluginServices;
  readonly tally: PluginTally;
  readonly timings: CallbackTimings;
  readonly crashLimits: CrashLimits;
  readonly now: () => number;
  readonly crashed: (error: PluginError, consequence: string) => void;
  readonly replacesAtOnce: (configuration: string) => boolean;
}

/** One version of a plugin while it runs: a pool of instances for each configuration in use. */
export class Release {
  readonly prepared: PreparedPlugin;
  readonly #options: ReleaseOptions;
  readonly #id = randomUUID();
  /** By the configuration as the guest reads it. */
  readonly #pools = new Map<string, InstancePool>();
  /** The id that its guests gave themselves; empty when they have none. */
  reportedId = "";
  readonly #retiring = new Map<InstancePool, Promise<void>>();
  #retired: Promise<void> | undefined;

  constructor(prepared: PreparedPlugin, options: ReleaseOptions) {
    this.prepared = prepared;
    this.#options = options;
  }

  get manifest(): Manifest {
    return this.prepared.manifest;
  }

  /** Why it does not serve some configuration, or undefined. */
  get crashedBecause(): string | undefined {
    for (const { crashedBecause } of this.#pools.values()) if (crashedBecause !== undefined) return crashedBecause;
    return undefined;
  }

  poolFor(configuration: string): InstancePool | undefined {
    return this.#pools.get(configuration);
  }

  pools(): Iterable<InstancePool> {
    return this.#pools.values();
  }

  /** The pool of that configuration, started when there was none. Rejects with PluginError when the guest refuses. */
  async openPool(configuration: string): Promise<InstancePool> {
    const known = this.#pools.get(configuration);
    if (known !== undefined) return known;
    const { tally, timings, crashLimits, now, crashed, replacesAtOnce } = this.#options;
    const { manifest, engine, module } = this.prepared;
    const program = { ...programOf(this.prepared, configuration, this.#id), timings };
    const pool = await InstancePool.open({
      plugin: manifest.name,
      version: manifest.version,
      size: sizeOf(this.prepared),
      takesWholeRequests: engine.takesWholeRequests?.(module) ?? false,
      start: (lost, freed) => engine.start(program, this.#options.services, lost, freed),
      budget: new CrashBudget(crashLimits, now),
      replacesAtOnce: () => replacesAtOnce(configuration),
      deadlineMs: manifest.limits.deadlineMs,
      started: (reason) => tally.started(reason),
      gone: (counters) => tally.gone(counters),
      crashed,
    });
    this.#pools.set(configuration, pool);
    this.reportedId = pool.reportedId;
    tally.join(pool, manifest.limits.memoryBytes);
    if (this.#retired !== undefined) this.#retirePool(configuration, pool, 0, undefined);
    return pool;
  }

  /** Retires the pools of configurations that are not in `keep`. */
  prune(keep: ReadonlySet<string>, drainMs: number): void {
    for (const [configuration, pool] of this.#pools) {
      if (!keep.has(configuration)) this.#retirePool(configuration, pool, drainMs, undefined);
    }
  }

  /**
   * Takes no more streams; resolves when all is gone, at the latest after `drainMs`. Streams that still wait for an instance
   * go on to the pool that `successorOf` names for theirs. May be called again with less time.
   */
  async retire(drainMs: number, successorOf: (pool: InstancePool) => InstancePool | undefined): Promise<void> {
    const hurried = [...this.#retiring.keys()].map((pool) => pool.retire(drainMs));
    for (const [configuration, pool] of this.#pools) {
      this.#retirePool(configuration, pool, drainMs, successorOf(pool));
    }
    this.#retired ??= this.#letGo();
    await Promise.all([...hurried, this.#retired]);
  }

  async #letGo(): Promise<void> {
    while (this.#retiring.size > 0) await Promise.all(this.#retiring.values());
    const { services } = this.#options;
    await services[Symbol.asyncDispose]?.();
    services[Symbol.dispose]?.();
  }

  #retirePool(configuration: string, pool: InstancePool, drainMs: number, successor: InstancePool | undefined): void {
    this.#pools.delete(configuration);
    const retired = pool.retire(drainMs, successor).finally(() => {
      this.#options.tally.leave(pool);
      this.#retiring.delete(pool);
    });
    this.#retiring.set(pool, retired);
  }
}

function sizeOf({ engine, manifest }: PreparedPlugin): PoolSize {
  const { isolation, suspends, limits } = manifest;
  if (isolation === "stream") return { use: "per-stream", most: limits.instances, spares: 2 };
  if (engine.isExclusive) return { use: "exclusive", most: limits.instances, spares: 1 };
  return { use: "shared", most: suspends ? limits.instances : 1, spares: 1 };
}

function programOf(prepared: PreparedPlugin, configuration: string, release: string): PluginProgram {
  const { manifest, module, restrictions } = prepared;
  const vmConfiguration = configurationText(manifest.vmConfiguration);
  const { name, version, kind, environment, vmId, rootId, suspends, limits, unknownImports, log } = manifest;
  return {
    name,
    version,
    kind,
    module,
    configuration: new TextEncoder().encode(configuration),
    vmConfiguration: new TextEncoder().encode(vmConfiguration),
    environment,
    vmId,
    vmKey: vmKeyOf(prepared, { release, vmConfiguration }),
    rootId,
    suspends,
    stubsUnknownImports: unknownImports === "stub",
    logsHostcalls: log.hostcalls,
    showsBodyOfHeldHeaders: manifest.allowOnHeadersStopIteration,
    restrictions,
    fuelPerCall: limits.budgetMs * fuelPerMillisecond,
    deadlineMs: limits.deadlineMs,
  };
}

/** The configuration as a guest reads it: text as it is, nothing as the empty text, anything else as JSON. */
export function configurationText(configuration: unknown): string {
  if (configuration === undefined || configuration === null) return "";
  return typeof configuration === "string" ? configuration : JSON.stringify(configuration);
}

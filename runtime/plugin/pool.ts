import { messageOf } from "../../components/thrown.ts";
import type { ConnectionFilter, ConnectionHost } from "./connection-filter.ts";
import type { InstanceCounters, PluginInstance, StreamFilter, StreamHost } from "./contract.ts";
import { CrashRecovery, type RecoveryTerms } from "./crash-recovery.ts";
import { Departures } from "./departures.ts";
import { PluginError, type PluginFault } from "./plugin-error.ts";
import { type Member, PoolMembers, type PoolSize } from "./pool-members.ts";
import { WaitingConnection } from "./waiting-connection.ts";
import type { Waiter, WaitingTerms } from "./waiting-place.ts";
import { WaitingStream } from "./waiting-stream.ts";
import { WholeRequest } from "./whole-request.ts";

export interface PoolOptions extends RecoveryTerms {
  readonly version: string;
  readonly size: PoolSize;
  /** Streams take an instance when their requests are there as a whole. */
  readonly takesWholeRequests: boolean;
  /** `freed` is called when an instance that takes one stream at a time can take another. */
  readonly start: (lost: (error: PluginError) => void, freed: () => void) => Promise<PluginInstance>;
  /** Longest time that a stream waits for an instance, in milliseconds. */
  readonly deadlineMs: number;
  /** Told of each instance that has started, and whether it stands in for one that crashed. */
  readonly started: (reason: "wanted" | "crash") => void;
  /** Told once of each instance that is gone what it had done. */
  readonly gone: (counters: InstanceCounters) => void;
  /** Told of every crash, a failed start of a replacement included, and what follows from it. */
  readonly crashed: (error: PluginError, consequence: string) => void;
}

export interface PoolCounters extends Pick<InstanceCounters, "calls" | "fuel"> {
  readonly instances: number;
  readonly streams: number;
}

const maxWaiting = 1_024;
const idleSweepMs = 30_000;
/** What waits for a version to take over comes before the starts of its spares. */
const firstSparesMs = 10;
/** How much of its deadline a stream may spend on the wait for a restart: the start takes its time too. */
const shareForRestart = 0.75;

/**
 * The instances of one version with one configuration. Holds started spares, so that a crash costs the streams of one
 * instance and nothing else; replaces what is lost within the crash budget; grows while every instance is busy.
 */
export class InstancePool implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #recovery: CrashRecovery;
  #phase: "serving" | "crashed" | "retired" = "serving";
  readonly #members: PoolMembers;
  readonly #departures: Departures;
  readonly #waiting = new Set<Waiter>();
  #starting = 0;
  #sweep: NodeJS.Timeout | undefined;
  #firstSpares: NodeJS.Timeout | undefined;
  #successor: InstancePool | undefined;

  private constructor(options: PoolOptions) {
    this.#options = options;
    this.#members = new PoolMembers(options.size);
    this.#departures = new Departures({
      members: this.#members,
      gone: options.gone,
      left: () => {
        this.#serve();
        this.#replenish();
      },
      failed: (error) => options.crashed(this.#asPluginError(error), "it was on its way out"),
    });
    this.#recovery = new CrashRecovery(options, () => {
      this.#phase = "serving";
      this.#replenish();
    });
  }

  /** Resolves when the first instance has started; rejects with what kept it from starting. Spares follow a little later. */
  static async open(options: PoolOptions): Promise<InstancePool> {
    const pool = new InstancePool(options);
    await pool.#start();
    if (pool.#phase === "serving") pool.#firstSpares = setTimeout(() => pool.#replenish(), firstSparesMs).unref();
    return pool;
  }

  /** Whether a stream may begin, if need be after a short wait. */
  get ready(): boolean {
    if (this.#phase !== "serving") return false;
    if (this.#members.active.length + this.#members.spares.length + this.#starting > 0) return true;
    return this.#recovery.isDueWithin(this.#options.deadlineMs * shareForRestart);
  }

  /** Why nothing is served, while the pool is out of its crash budget. */
  get crashedBecause(): string | undefined {
    return this.#phase === "crashed" ? this.#recovery.outBecause : undefined;
  }

  /** The id that its guests gave themselves; empty when they have none, or none is there. */
  get reportedId(): string {
    return (this.#members.active[0] ?? this.#members.spares[0])?.instance.reportedId ?? "";
  }

  /** Those that are there, on their way out included. */
  *instances(): Generator<PluginInstance> {
    for (const { instance } of this.#members) yield instance;
  }

  /** What the instances that are there have done and do. */
  get counters(): PoolCounters {
    const sum = { instances: 0, streams: 0, calls: 0, fuel: 0 };
    for (const { streams, counters } of this.instances()) {
      sum.instances++;
      sum.streams += streams;
      sum.calls += counters.calls;
      sum.fuel += counters.fuel;
    }
    return sum;
  }

  /** Begins a stream on the least busy instance. Throws PluginError when none can take it, now or soon. */
  open(host: StreamHost): StreamFilter {
    if (this.#successor !== undefined) return this.#successor.open(host);
    if (!this.#options.takesWholeRequests) return this.#openNow(host);
    if (!this.ready) throw this.#unavailable();
    return new WholeRequest(host, this.#openWhole);
  }

  #openNow(host: StreamHost): StreamFilter {
    const member = this.#take();
    return member === undefined ? this.#wait((terms) => new WaitingStream(host, terms)) : member.instance.open(host);
  }

  readonly #openWhole = (host: StreamHost): StreamFilter => {
    const successor = this.#successor;
    if (successor === undefined) return this.#openNow(host);
    if (successor.#options.takesWholeRequests) return successor.#openWhole(host);
    throw this.#error("closed", "was replaced by what takes requests in parts, while this one came in");
  };

  /** As `open`, for a TCP connection. */
  openConnection(host: ConnectionHost): ConnectionFilter {
    if (this.#successor !== undefined) return this.#successor.openConnection(host);
    const member = this.#take();
    return member === undefined
      ? this.#wait((terms) => new WaitingConnection(host, terms, this.#openConnection))
      : this.#openConnection(member.instance, host);
  }

  readonly #openConnection = (instance: PluginInstance, host: ConnectionHost): ConnectionFilter => {
    if (instance.openConnection !== undefined) return instance.openConnection(host);
    throw this.#error("refused", "is of a kind that takes no TCP connections");
  };

  /**
   * Takes no more streams; resolves when those that began have ended and the instances are gone, at the latest after
   * `deadlineMs`. Streams that wait for an instance go on to the successor; without one they fail.
   */
  async retire(deadlineMs: number, successor?: InstancePool): Promise<void> {
    this.#leaveService(successor);
    const timer = setTimeout(() => this.#departures.hurry(), deadlineMs);
    await this.#departures.idle();
    clearTimeout(timer);
  }

  /** Ends every instance, whatever runs on it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaveService(undefined);
    this.#departures.hurry();
    await this.#departures.idle();
  }

  #leaveService(successor: InstancePool | undefined): void {
    if (this.#phase === "retired") return;
    this.#phase = "retired";
    this.#successor = successor;
    this.#recovery.cancel();
    clearTimeout(this.#firstSpares);
    this.#sweepNoMore();
    this.#endAll();
    if (successor === undefined) {
      this.#failWaiting(this.#error("closed", "was shut down"));
    } else {
      for (const waiter of this.#waiting) waiter.move(successor.#waiting);
      successor.#serve();
      successor.#replenish();
    }
  }

  #take(): Member | undefined {
    if (this.#phase !== "serving") return undefined;
    const { active, spares } = this.#members;
    const spared = spares.length;
    const member = this.#members.take();
    if (member === undefined || spares.length === spared) return member;
    // For one stream: told at once to finish, which it does when that stream has ended.
    if (this.#options.size.use === "per-stream") this.#departures.end(member);
    else if (active.length > 1) this.#sweep ??= setInterval(() => this.#shrink(), idleSweepMs).unref();
    this.#replenish();
    return member;
  }

  #wait<One extends Waiter>(make: (terms: WaitingTerms) => One): One {
    const { deadlineMs } = this.#options;
    if (!this.ready) throw this.#unavailable();
    if (this.#waiting.size >= maxWaiting) {
      throw this.#error("deadline", `has no free instance, and ${maxWaiting} streams wait for one already`);
    }
    const expired = (): PluginError => this.#error("deadline", `had no free instance within ${deadlineMs} ms`);
    const waiter = make({ queue: this.#waiting, deadlineMs, expired });
    this.#replenish();
    return waiter;
  }

  #serve(): void {
    for (const waiter of this.#waiting) {
      const member = this.#take();
      if (member === undefined) break;
      waiter.begin(member.instance);
    }
  }

  /** Starts what is missing, unless a restart waits. */
  #replenish(): void {
    if (this.#phase !== "serving" || this.#recovery.waits) return;
    const wanted = this.#members.wantedSpares(this.#waiting.size);
    for (let standing = this.#members.spares.length + this.#starting; standing < wanted; standing++) {
      this.#departures.track(
        this.#start().catch((error: unknown) => this.#crash(this.#asPluginError(error), "unhurried")),
      );
    }
  }

  async #start(): Promise<void> {
    let member: Member | undefined;
    let lost: PluginError | undefined;
    this.#starting++;
    let instance: PluginInstance;
    try {
      instance = await this.#options.start(
        (error) => {
          if (member === undefined) lost = error;
          else this.#lost(member, error);
        },
        () => this.#serve(),
      );
    } finally {
      this.#starting--;
    }
    member = { instance, over: new AbortController(), callsSeen: 0 };
    this.#options.started(this.#recovery.started());
    if (lost !== undefined) {
      this.#options.gone(instance.counters);
      throw lost;
    }
    if (this.#phase !== "serving") this.#departures.end(member);
    else this.#members.add(member);
    this.#serve();
  }

  #lost(member: Member, error: PluginError): void {
    if (!this.#departures.lost(member)) return;
    // What had a stream to itself has none to be replaced for: others do not wait because of it.
    const wait = this.#options.size.use === "shared" ? "unhurried" : "hurried";
    if (error.fault === "closed") this.#replenish();
    else this.#crash(error, wait);
  }

  #crash(error: PluginError, wait: "hurried" | "unhurried"): void {
    if (this.#phase !== "serving") {
      this.#options.crashed(error, "it was on its way out");
      return;
    }
    const consequence = this.#recovery.crash(error, wait);
    const isOut = this.#recovery.outBecause !== undefined;
    if (isOut) this.#phase = "crashed";
    this.#options.crashed(error, consequence);
    if (isOut) this.#endAll();
    else this.#replenish();
    if (!this.ready) this.#failWaiting(this.#unavailable());
  }

  #endAll(): void {
    const { active, spares } = this.#members;
    for (const member of [...active.splice(0), ...spares.splice(0)]) this.#departures.end(member);
  }

  /** Lets go of instances that a burst needed and nobody has used since the last look. */
  #shrink(): void {
    for (const member of this.#members.takeIdle()) this.#departures.end(member);
    if (this.#members.active.length < 2) this.#sweepNoMore();
  }

  #sweepNoMore(): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #failWaiting(error: PluginError): void {
    for (const waiter of this.#waiting) waiter.fail(error);
  }

  #unavailable(): PluginError {
    const { plugin, version } = this.#options;
    if (this.#phase === "retired") return this.#error("closed", "was shut down");
    const { outBecause } = this.#recovery;
    if (outBecause !== undefined) return new PluginError(plugin, version, "budget", outBecause);
    return this.#error("budget", "crashed and waits for its restart");
  }

  #asPluginError(error: unknown): PluginError {
    if (error instanceof PluginError) return error;
    const { plugin, version } = this.#options;
    const message = `plugin '${plugin}' failed: ${messageOf(error)}`;
    return new PluginError(plugin, version, "trap", message, { cause: error });
  }

  #error(fault: PluginFault, what: string): PluginError {
    const { plugin, version } = this.#options;
    return new PluginError(plugin, version, fault, `plugin '${plugin}' ${version} ${what}`);
  }
}

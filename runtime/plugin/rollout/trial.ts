import type { ConnectionFilter, ConnectionHost } from "../connection-filter.ts";
import type { StreamFilter, StreamHost } from "../contract.ts";
import { PluginError } from "../plugin-error.ts";
import type { InstancePool } from "../pool.ts";
import type { TrialStatus } from "../status.ts";
import type { VersionRecord } from "../versions.ts";
import { openChooser, type StreamChooser } from "./canary.ts";
import { judge, type Verdict } from "./judge.ts";
import { MeasuredConnection } from "./measured-connection.ts";
import { MeasuredStream, type StreamEnded, type StreamOutcome } from "./measured-stream.ts";
import { Observations } from "./observations.ts";
import type { RolloutPolicy } from "./policy.ts";

export interface TrialOptions {
  readonly candidate: VersionRecord;
  readonly policy: RolloutPolicy;
  /** Told once that the version did well or badly, unless it is to be promoted by hand and did well. */
  readonly decided: (verdict: Exclude<Verdict, { verdict: "undecided" }>) => void;
}

/** Looks at a trial this often in its window, and not more often or more seldom than these. */
const looksPerWindow = 20;
const shortestLookMs = 10;
const longestLookMs = 1_000;

/** A client waits at least so long before that it leaves may count. */
const patienceMs = 1_000;

/** A version beside the stable one: gives it its share of the streams, watches both, and judges. */
export class Trial implements Disposable {
  readonly #options: TrialOptions;
  readonly #chooser: StreamChooser | undefined;
  readonly #stable = new Observations();
  readonly #candidate = new Observations();
  #phase: TrialStatus["phase"] = "staged";
  #begunAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(options: TrialOptions) {
    const { policy, candidate } = options;
    this.#options = options;
    this.#chooser = policy.canary === undefined ? undefined : openChooser(policy.canary, candidate.digest);
  }

  get hasTraffic(): boolean {
    return this.#phase !== "staged" && !this.#isOver;
  }

  get status(): TrialStatus {
    const { candidate, policy } = this.#options;
    return {
      version: candidate.version,
      digest: candidate.digest,
      phase: this.#phase,
      percent: this.hasTraffic ? (policy.canary?.percent ?? 0) : 0,
      promotion: policy.promotion,
      stable: this.#stable.seen,
      candidate: this.#candidate.seen,
    };
  }

  /** Goes on in that phase; what was seen before a version is judged again does not count. */
  enter(phase: TrialStatus["phase"]): void {
    this.#phase = phase;
    clearInterval(this.#timer);
    if (phase !== "canary") return;
    this.#stable.reset();
    this.#candidate.reset();
    this.#begunAt = performance.now();
    const everyMs = Math.min(Math.max(this.#options.policy.window / looksPerWindow, shortestLookMs), longestLookMs);
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  /** Begins a stream on the version that it is for; on the stable one, too, when the other cannot take it. */
  open(stable: InstancePool, candidate: InstancePool, host: StreamHost): StreamFilter {
    if (this.#chooser?.picks(host) === true) {
      try {
        return MeasuredStream.open(candidate, host, this.#candidateEnded);
      } catch (error) {
        this.#couldNotTake(error);
      }
    }
    return MeasuredStream.open(stable, host, this.#stableEnded);
  }

  /** As `open`, for a TCP connection. */
  openConnection(stable: InstancePool, candidate: InstancePool, host: ConnectionHost): ConnectionFilter {
    if (this.#chooser?.picksConnection(host) === true) {
      try {
        return MeasuredConnection.open(candidate, host, this.#candidateEnded);
      } catch (error) {
        this.#couldNotTake(error);
      }
    }
    return MeasuredConnection.open(stable, host, this.#stableEnded);
  }

  /** An instance of the version on trial crashed. */
  trapped(): void {
    this.#candidate.trapped();
    this.#look();
  }

  /** An instance of the stable version did. */
  stableTrapped(): void {
    this.#stable.trapped();
  }

  /** It judges no more, and gives out no more streams. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  readonly #stableEnded: StreamEnded = (outcome, ms) => {
    if (this.#counts(outcome, ms)) this.#stable.ended(outcome !== "served", ms);
  };

  readonly #candidateEnded: StreamEnded = (outcome, ms) => {
    if (!this.#counts(outcome, ms)) return;
    this.#candidate.ended(outcome !== "served", ms);
    if (outcome !== "served") this.#look();
  };

  /** A client that did not wait long tells nothing of a version, or else a few of them could have one rolled back. */
  #counts(outcome: StreamOutcome, ms = 0): boolean {
    if (outcome !== "left") return true;
    return ms > Math.max(patienceMs, this.#options.policy.latency * this.#stable.seen.p99Ms);
  }

  #couldNotTake(error: unknown): void {
    if (!(error instanceof PluginError)) throw error;
    this.#candidateEnded("failed", undefined);
  }

  #look(): void {
    if (this.#isOver || this.#phase !== "canary") return;
    const { policy, decided } = this.#options;
    const elapsedMs = performance.now() - this.#begunAt;
    const slowerThan = (ms: number): number => this.#candidate.slowerThan(ms);
    const verdict = judge(policy, this.#stable.seen, this.#candidate.seen, { elapsedMs, slowerThan });
    if (verdict.verdict === "undecided") return;
    if (verdict.verdict === "good" && policy.promotion === "manual") return;
    clearInterval(this.#timer);
    decided(verdict);
  }
}

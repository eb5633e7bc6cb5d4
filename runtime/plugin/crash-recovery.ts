import type { CrashBudget } from "./crash-budget.ts";
import type { PluginError } from "./plugin-error.ts";

export interface RecoveryTerms {
  /** For messages. */
  readonly plugin: string;
  readonly budget: CrashBudget;
  /** Whether a crashed instance is replaced without any wait (fail policy `reload`). */
  readonly replacesAtOnce: () => boolean;
}

/** What follows from the crashes in one pool: replacements at once, after a wait, or after a longer one without any service. */
export class CrashRecovery {
  readonly #terms: RecoveryTerms;
  readonly #restart: () => void;
  #reason: string | undefined;
  /** Crashes whose instance has not been replaced. */
  #owed = 0;
  /** A restart that waits: back-off, or the cool-down after too many crashes. */
  #waiting: { readonly timer: NodeJS.Timeout; readonly dueAt: number } | undefined;

  /** `restart` is called when a wait is over. */
  constructor(terms: RecoveryTerms, restart: () => void) {
    this.#terms = terms;
    this.#restart = restart;
  }

  /** Why nothing is served, while the crash budget is spent. */
  get outBecause(): string | undefined {
    return this.#reason;
  }

  /** Whether nothing is to be started before the wait is over. */
  get waits(): boolean {
    return this.#waiting !== undefined;
  }

  /** Whether something waits that is over within that time. */
  isDueWithin(ms: number): boolean {
    return this.#waiting !== undefined && this.#waiting.dueAt - performance.now() <= ms;
  }

  /** Decides what follows from a crash, and says it. */
  crash(error: PluginError, wait: "hurried" | "unhurried"): string {
    const { budget, replacesAtOnce } = this.#terms;
    this.#owed++;
    // Another plugin is to blame, and pays with its own budget.
    if (error.fault === "shared") return this.#replace(0);
    const { action, afterMs } = budget.crash(replacesAtOnce() ? "hurried" : wait);
    return action === "stop" ? this.#stop(error, afterMs) : this.#replace(afterMs);
  }

  /** An instance has started: whether it stands in for one that crashed. */
  started(): "wanted" | "crash" {
    if (this.#owed === 0) return "wanted";
    this.#owed--;
    return "crash";
  }

  /** Restarts nothing any more. */
  cancel(): void {
    clearTimeout(this.#waiting?.timer);
    this.#waiting = undefined;
  }

  #replace(afterMs: number): string {
    if (afterMs === 0) return "it is replaced";
    this.#restartAfter(afterMs);
    return `it is replaced in ${afterMs / 1000} s`;
  }

  #stop({ message }: PluginError, afterMs: number): string {
    const again = `it is tried again in ${Math.round(afterMs / 1000)} s, or at the next deploy`;
    this.#reason = `plugin '${this.#terms.plugin}' crashed too often and was taken out; ${again}; last: ${message}`;
    this.#restartAfter(afterMs);
    return `that was too often, it is taken out; ${again}`;
  }

  #restartAfter(afterMs: number): void {
    this.cancel();
    const timer = setTimeout(() => {
      this.#waiting = undefined;
      if (this.#reason !== undefined) this.#terms.budget.resume();
      this.#reason = undefined;
      this.#restart();
    }, afterMs);
    this.#waiting = { timer, dueAt: performance.now() + afterMs };
  }
}

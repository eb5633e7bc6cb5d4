/** How many crashes a plugin may have, and what follows each of them. Times are in milliseconds. */
export interface CrashLimits {
  /**
   * Crashes count for this long, the waits of replacements aside; a window without a crash forgets how often the plugin was
   * taken out.
   */
  readonly windowMs: number;
  /** So many replacements in a window are immediate. */
  readonly immediate: number;
  /** The wait before the next one; each after it waits twice as long, up to the longest. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** The crash in a window that takes the plugin out. */
  readonly most: number;
  /** The wait before the plugin is tried again; twice as long each time it is taken out again, up to the longest. */
  readonly coolDownMs: number;
  readonly maxCoolDownMs: number;
}

/**
 * Three replacements in a minute at once, the next after 1 s, 2 s, 4 s and so on, a minute at most; with the tenth crash the
 * plugin is out for a minute, then for two, up to five.
 */
export const defaultCrashLimits: CrashLimits = {
  windowMs: 60_000,
  immediate: 3,
  backoffMs: 1_000,
  maxBackoffMs: 60_000,
  most: 10,
  coolDownMs: 60_000,
  maxCoolDownMs: 300_000,
};

/** What to do after a crash: replace the instance after a wait, or take the plugin out and try again after one. */
export type CrashVerdict = { readonly action: "replace" | "stop"; readonly afterMs: number };

/** Counts crashes and decides; holds no timer and reads the time only through `now`. */
export class CrashBudget {
  readonly #limits: CrashLimits;
  readonly #now: () => number;
  #crashes: number[] = [];
  #stops = 0;
  #quietSince = Number.NEGATIVE_INFINITY;
  /** The wait that followed the last crash. */
  #waitMs = 0;

  constructor(limits: CrashLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** An instance crashed, or could not be started. A replacement that is `hurried` does not wait. */
  crash(hurried: "hurried" | "unhurried" = "unhurried"): CrashVerdict {
    const { windowMs, immediate, backoffMs, maxBackoffMs, most, coolDownMs, maxCoolDownMs } = this.#limits;
    const now = this.#now();
    // A plugin that is hardly let run has not been quiet: what it waited does not make its crashes older.
    const waited = Math.min(this.#waitMs, now - this.#quietSince);
    if (now - this.#quietSince - waited >= windowMs) this.#stops = 0;
    this.#quietSince = now;
    this.#crashes = this.#crashes.map((crash) => crash + waited).filter((crash) => now - crash < windowMs);
    this.#crashes.push(now);
    const count = this.#crashes.length;
    this.#waitMs = 0;
    if (count >= most) {
      this.#crashes = [];
      return { action: "stop", afterMs: Math.min(coolDownMs * 2 ** this.#stops++, maxCoolDownMs) };
    }
    if (hurried === "unhurried" && count > immediate)
      this.#waitMs = Math.min(backoffMs * 2 ** (count - immediate - 1), maxBackoffMs);
    return { action: "replace", afterMs: this.#waitMs };
  }

  /** The plugin is tried again after it was taken out. */
  resume(): void {
    this.#quietSince = this.#now();
  }
}

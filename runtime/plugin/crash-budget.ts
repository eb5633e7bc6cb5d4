/** How many crashes a plugin may have, and what follows each of them. Times are in milliseconds. */
export interface CrashLimits {
  /** Crashes count for this long; a window without one forgets how often the plugin was taken out. */
  readonly windowMs: number;
  /** So many replacements in a window are immediate. */
  readonly immediate: number;
  /** The wait before the next one; each after it waits twice as long. */
  readonly backoffMs: number;
  /** The crash in a window that takes the plugin out. */
  readonly most: number;
  /** The wait before the plugin is tried again; twice as long each time it is taken out again. */
  readonly coolDownMs: number;
  readonly maxCoolDownMs: number;
}

/**
 * Three replacements in a minute at once, the next after 25 ms, 50 ms and so on; with the tenth crash the plugin is out for
 * 10 s, up to 5 minutes. No wait of a replacement is longer than the usual deadline of a call that waits for it.
 */
export const defaultCrashLimits: CrashLimits = {
  windowMs: 60_000,
  immediate: 3,
  backoffMs: 25,
  most: 10,
  coolDownMs: 10_000,
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

  constructor(limits: CrashLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** An instance crashed, or could not be started. */
  crash(): CrashVerdict {
    const { windowMs, immediate, backoffMs, most, coolDownMs, maxCoolDownMs } = this.#limits;
    const now = this.#now();
    if (now - this.#quietSince >= windowMs) this.#stops = 0;
    this.#quietSince = now;
    this.#crashes = [...this.#crashes.filter((crash) => now - crash < windowMs), now];
    const count = this.#crashes.length;
    if (count >= most) {
      this.#crashes = [];
      return { action: "stop", afterMs: Math.min(coolDownMs * 2 ** this.#stops++, maxCoolDownMs) };
    }
    return { action: "replace", afterMs: count <= immediate ? 0 : backoffMs * 2 ** (count - immediate - 1) };
  }

  /** The plugin is tried again after it was taken out. */
  resume(): void {
    this.#quietSince = this.#now();
  }
}

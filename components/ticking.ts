import { Cron } from "croner";
import type { ComponentLog } from "./component.ts";
import { intervalMsOf } from "./schedule.ts";
import { messageOf } from "./thrown.ts";

/** When to tick next after a moment; both in milliseconds since the epoch. Undefined: never again. */
type Next = (afterMs: number) => number | undefined;

export interface TickingOptions {
  readonly schedule: string;
  readonly timeZone: string;
  /** Called at each tick with the moment that it was due; a rejection is logged, and the next tick comes by the schedule. */
  readonly tick: (dueMs: number, signal: AbortSignal) => Promise<void>;
  readonly log: ComponentLog;
}

/** A timer that waits longer does not notice that the clock was set, or that the machine slept. */
const longestWaitMs = 30_000;
/** A tick that is found later than this was missed. */
const graceMs = 10_000;

/** One tick after the other. Those that pass while the process sleeps or a tick is dealt with are not made up for. */
export class Ticking implements AsyncDisposable {
  readonly #options: TickingOptions;
  readonly #next: Next;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: TickingOptions) {
    this.#options = options;
    this.#next = nextOf(options.schedule, options.timeZone);
    this.#running = this.#run();
  }

  /** Aborts the tick that is dealt with, and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { log } = this.#options;
    const next = this.#next;
    for (let dueMs = next(Date.now()); dueMs !== undefined; dueMs = next(Math.max(Date.now(), dueMs))) {
      const lateMs = await this.#until(dueMs);
      if (signal.aborted) return;
      if (lateMs <= graceMs) await this.#tick(dueMs);
      else log.warn({ lateMs }, "a tick was missed");
      if (signal.aborted) return;
    }
  }

  /** Resolves to how late it is, at the moment or when it stops. */
  async #until(dueMs: number): Promise<number> {
    const { signal } = this.#stopping;
    for (;;) {
      const leftMs = dueMs - Date.now();
      if (leftMs <= 0 || signal.aborted) return -leftMs;
      await waited(Math.min(leftMs, longestWaitMs), signal);
    }
  }

  async #tick(dueMs: number): Promise<void> {
    const { tick, log } = this.#options;
    try {
      await tick(dueMs, this.#stopping.signal);
    } catch (error) {
      const scheduledTime = new Date(dueMs).toISOString();
      log.debug({ err: error, scheduledTime }, "a tick was not taken; the next one comes by the schedule");
    }
  }
}

/** Why there is no tick by a schedule whose form is good; undefined when there is. */
export function mistakeInSchedule(schedule: string, timeZone: string): string | undefined {
  try {
    if (nextOf(schedule, timeZone)(Date.now()) !== undefined) return undefined;
  } catch (cause) {
    return `expected a schedule that can be read (${messageOf(cause)})`;
  }
  return "expected a schedule that comes at some time";
}

function nextOf(schedule: string, timeZone: string): Next {
  const intervalMs = intervalMsOf(schedule);
  return intervalMs === undefined ? patternOf(schedule, timeZone) : intervalOf(intervalMs);
}

/** Ticks a whole number of intervals after the first moment asked about, so that it does not drift. */
function intervalOf(intervalMs: number): Next {
  let startMs: number | undefined;
  return (afterMs) => {
    startMs ??= afterMs;
    return startMs + (Math.floor((afterMs - startMs) / intervalMs) + 1) * intervalMs;
  };
}

function patternOf(schedule: string, timeZone: string): Next {
  const cron = new Cron(schedule, { paused: true, timezone: timeZone, mode: "5-or-6-parts" });
  return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime();
}

/** Resolves after the time, or when the signal aborts. */
function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}

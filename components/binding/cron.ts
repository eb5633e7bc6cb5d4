import { Cron } from "croner";
import { z } from "zod";
import type { ComponentLog } from "../component.ts";
import { type Binding, type DeliverBindingEvent, defineBinding } from "./binding.ts";

/** When to tick next after a moment; both in milliseconds since the epoch. Undefined: never again. */
type Schedule = (afterMs: number) => number | undefined;

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const every = /^@every ((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)$/;
const shortestMs = 100;

const form = /^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every \S+|\S+( +\S+){4,5})$/;

const settings = z
  .strictObject({
    schedule: z
      .string()
      .regex(form, "expected five or six fields, @every 1h30m, or @daily and its like")
      .describe(
        "Five fields (minute hour day month weekday), six (second first), @every 1h30m, or @yearly, @monthly, @weekly, @daily, @hourly",
      ),
    timeZone: z
      .string()
      .refine(isTimeZone, "expected a time zone, such as UTC or Europe/Berlin")
      .default("UTC")
      .describe("Time zone that the fields are read in, such as Europe/Berlin; default UTC"),
  })
  .superRefine(({ schedule, timeZone }, context) => {
    if (!form.test(schedule) || !isTimeZone(timeZone)) return;
    const mistake = mistakeOf(schedule, timeZone);
    if (mistake !== undefined)
      context.addIssue({ code: "custom", path: ["schedule"], input: schedule, message: mistake });
  });

/** Events by the clock. */
export const cronBinding = defineBinding({
  type: "cron",
  capabilities: ["input"],
  config: settings,
  async open({ schedule, timeZone }, { name, log }) {
    const next = scheduleOf(schedule, timeZone);
    const listeners = new Set<AsyncDisposable>();
    const binding: Binding = {
      operations: [],
      async invoke({ operation }) {
        throw new RangeError(`'${operation}' is no operation of the binding '${name}'`);
      },
      async listen(deliver) {
        const ticking = new Ticking({ timeZone, next, deliver, log });
        listeners.add(ticking);
        return {
          async [Symbol.asyncDispose]() {
            listeners.delete(ticking);
            await ticking[Symbol.asyncDispose]();
          },
        };
      },
      async [Symbol.asyncDispose]() {
        await Promise.all([...listeners].map((one) => one[Symbol.asyncDispose]()));
      },
    };
    return binding;
  },
});

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** Why there is no tick by the schedule; undefined when there is. */
function mistakeOf(schedule: string, timeZone: string): string | undefined {
  if (every.test(schedule) && intervalMsOf(schedule) < shortestMs) return `expected at least ${shortestMs} ms`;
  try {
    if (scheduleOf(schedule, timeZone)(Date.now()) !== undefined) return undefined;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return `expected a schedule that can be read (${why})`;
  }
  return "expected a schedule that comes at some time";
}

const scheduleOf = (schedule: string, timeZone: string): Schedule =>
  every.test(schedule) ? intervalOf(intervalMsOf(schedule)) : patternOf(schedule, timeZone);

function intervalMsOf(schedule: string): number {
  const text = every.exec(schedule)?.[1] ?? "";
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? 0), 0);
}

/** Ticks a whole number of intervals after the first moment asked about, so that it does not drift. */
function intervalOf(intervalMs: number): Schedule {
  let startMs: number | undefined;
  return (afterMs) => {
    startMs ??= afterMs;
    return startMs + (Math.floor((afterMs - startMs) / intervalMs) + 1) * intervalMs;
  };
}

function patternOf(schedule: string, timeZone: string): Schedule {
  const cron = new Cron(schedule, { paused: true, timezone: timeZone, mode: "5-or-6-parts" });
  return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime();
}

interface TickingOptions {
  readonly timeZone: string;
  readonly next: Schedule;
  readonly deliver: DeliverBindingEvent;
  readonly log: ComponentLog;
}

/** A timer that waits longer does not notice that the clock was set, or that the machine slept. */
const longestWaitMs = 30_000;
/** A tick that is found later than this was missed. */
const graceMs = 10_000;

/** Delivers one tick after the other. Those that pass while the process sleeps or a delivery goes on are not made up for. */
class Ticking implements AsyncDisposable {
  readonly #options: TickingOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: TickingOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { next, log } = this.#options;
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
    const { timeZone, deliver, log } = this.#options;
    const scheduledTime = new Date(dueMs).toISOString();
    const metadata = { scheduledTime, readTimeUTC: new Date().toISOString(), timeZone };
    try {
      await deliver({ data: new Uint8Array(), metadata }, this.#stopping.signal);
    } catch (error) {
      log.debug({ err: error, scheduledTime }, "a tick was not taken; the next one comes by the schedule");
    }
  }
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

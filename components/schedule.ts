/** How schedules are written, wherever there are some. What they mean is known to ticking.ts, which loads more. */
import { z } from "zod";

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const every = /^@every ((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)$/;
const shortestMs = 100;
const form = /^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every \S+|\S+( +\S+){4,5})$/;

/** The text of a schedule; of a form that can be one. */
export const schedule = z
  .string()
  .regex(form, "expected five or six fields, @every 1h30m, or @daily and its like")
  .refine((text) => (intervalMsOf(text) ?? shortestMs) >= shortestMs, `expected at least ${shortestMs} ms`)
  .describe(
    "Five fields (minute hour day month weekday), six (second first), @every 1h30m, or @yearly, @monthly, @weekly, @daily, @hourly",
  );

/** The time zone that a schedule is read in. */
export const timeZone = z
  .string()
  .refine(isTimeZone, "expected a time zone, such as UTC or Europe/Berlin")
  .default("UTC")
  .describe("Time zone that the fields are read in, such as Europe/Berlin; default UTC");

/** Whether both are of the form that they need. */
export const isScheduled = (text: string, zone: string): boolean =>
  schedule.safeParse(text).success && isTimeZone(zone);

/** The interval of `@every`; undefined for other schedules. */
export function intervalMsOf(text: string): number | undefined {
  const amounts = every.exec(text)?.[1];
  if (amounts === undefined) return undefined;
  const parts = [...amounts.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? 0), 0);
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

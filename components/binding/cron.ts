import { z } from "zod";
import { isScheduled, schedule, timeZone } from "../schedule.ts";
import { mistakeInSchedule, Ticking } from "../ticking.ts";
import { type Binding, type DeliverBindingEvent, defineBinding } from "./binding.ts";

const settings = z.strictObject({ schedule, timeZone }).superRefine((given, context) => {
  if (!isScheduled(given.schedule, given.timeZone)) return;
  const message = mistakeInSchedule(given.schedule, given.timeZone);
  if (message !== undefined) context.addIssue({ code: "custom", path: ["schedule"], input: given.schedule, message });
});

/** Events by the clock. */
export const cronBinding = defineBinding({
  type: "cron",
  capabilities: ["input"],
  config: settings,
  async open({ schedule, timeZone }, { name, log }) {
    const listeners = new Set<AsyncDisposable>();
    const binding: Binding = {
      operations: [],
      async invoke({ operation }) {
        throw new RangeError(`'${operation}' is no operation of the binding '${name}'`);
      },
      async listen(deliver) {
        const ticking = new Ticking({ schedule, timeZone, tick: eventsFor(deliver, timeZone), log });
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

const eventsFor =
  (deliver: DeliverBindingEvent, timeZone: string) =>
  (dueMs: number, signal: AbortSignal): Promise<void> => {
    const scheduledTime = new Date(dueMs).toISOString();
    const metadata = { scheduledTime, readTimeUTC: new Date().toISOString(), timeZone };
    return deliver({ data: new Uint8Array(), metadata }, signal);
  };

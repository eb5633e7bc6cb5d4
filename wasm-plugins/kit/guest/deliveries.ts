/** Events and ticks that a plugin fails over: what is thrown out of an export ends the instance, and often enough the whole plugin. */
import type { Event, Outcome } from "outrigger:runtime/events@0.1.0";
import type { Tick } from "outrigger:runtime/schedules@0.1.0";
import { reasonOf } from "./errors.ts";

const outcomes: ReadonlySet<unknown> = new Set<Outcome>(["success", "retry", "drop"]);

/** The taker of events; of one that it throws over, the error is logged, and the event comes again. */
export function taking(onEvent: (event: Event) => Outcome): (event: Event) => Outcome {
  return (event) => {
    try {
      const outcome = onEvent(event);
      if (outcomes.has(outcome)) return outcome;
      console.error(`an event of '${event.topic}' came to`, outcome, "where success, retry or drop is expected");
    } catch (error) {
      console.error(`an event of '${event.topic}' failed:`, error);
    }
    return "retry";
  };
}

/** What the clock calls; of a tick that it throws over, the error is logged, and the tick has failed. */
export function ticking(onSchedule: (tick: Tick) => void): (tick: Tick) => void {
  return (tick) => {
    try {
      onSchedule(tick);
    } catch (error) {
      console.error(`the schedule '${tick.schedule}' failed:`, error);
      // The world has a text for the error of a tick.
      throw reasonOf(error);
    }
  };
}

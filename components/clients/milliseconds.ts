import { z } from "zod";

const longestTimerMs = 2 ** 31 - 1;

/** A whole number of milliseconds, from 1, that a timer can wait: Node fires a longer one at once. */
export const milliseconds = z
  .int()
  .positive()
  .max(longestTimerMs, `expected at most ${longestTimerMs} milliseconds, about 24 days`);

import { z } from "zod";

/** Of two such and something more a timer of Node can still wait the sum, below 2 ** 31; a longer one it fires at once. */
const longestMs = 1_000_000_000;

/** A whole number of milliseconds, from 1, that timers can wait, those that are derived from it too. */
export const milliseconds = z
  .int()
  .positive()
  .max(longestMs, `expected at most ${longestMs} milliseconds, about 11 days`);

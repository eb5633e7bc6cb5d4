import { setTimeout as delay } from "node:timers/promises";

/** Resolves when all of the work has settled, one way or the other, or when so many milliseconds have passed. */
export async function settledWithin(work: Iterable<Promise<unknown>>, longestMs: number): Promise<void> {
  const settled = new AbortController();
  const timeout = delay(longestMs, undefined, { signal: settled.signal }).catch(() => undefined);
  await Promise.race([Promise.allSettled(work), timeout]);
  settled.abort();
}

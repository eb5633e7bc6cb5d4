import { setImmediate } from "node:timers/promises";

/**
 * Resolves once the event loop went all the way round, whatever it is at now: timers, connections and files have had their turn.
 * Immediates alone may run before them, when they are asked for while connections have theirs.
 */
export async function turn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

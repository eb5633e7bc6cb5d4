/** What is done to the exports of a plugin when it is built. */
import { hostError, reasonOf } from "./errors.ts";

/**
 * Has each function that is exported throw errors of the host by what the host said: the engine tells the log no more of an error
 * than its message.
 */
export function throwReadableErrors(exported: Readonly<Record<string, unknown>>): void {
  for (const part of Object.values(exported)) {
    if (typeof part !== "object" || part === null || Object.isFrozen(part)) continue;
    for (const [name, called] of Object.entries(part))
      if (typeof called === "function") Object.assign(part, { [name]: readable(called) });
  }
}

function readable(called: (...values: unknown[]) => unknown) {
  return function (this: unknown, ...values: unknown[]): unknown {
    try {
      return called.apply(this, values);
    } catch (error) {
      if (error instanceof Error && hostError(error) !== undefined)
        Object.defineProperty(error, "message", { value: reasonOf(error), configurable: true });
      throw error;
    }
  };
}

import type { CallContext } from "../component.ts";
import { RuntimeError } from "../error.ts";

/**
 * Settles with the work; rejects with the reason of the call when that ends first, and with UNAVAILABLE when `longestMs`
 * pass, for clients that would wait for their server without end. The work itself goes on.
 */
export async function withinCall<T>(
  work: Promise<T>,
  { signal }: Pick<CallContext, "signal">,
  { longestMs, server }: { readonly longestMs: number; readonly server: string },
): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  const timer = setTimeout(() => {
    reject(
      new RuntimeError(
        "UNAVAILABLE",
        "SERVER_NOT_ANSWERING",
        `${server} did not answer within ${Math.ceil(longestMs)} ms`,
      ),
    );
  }, longestMs);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, ended]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

import { type ErrorCode, RuntimeError } from "../../components/error.ts";

/** What went wrong with one key of a bulk write. */
export interface Failure {
  readonly key: string;
  readonly error: unknown;
}

/**
 * The error of a bulk write of which a part was applied. Its code is the one that the failures share; when they differ,
 * the first that is not ABORTED, since repeating only the conflicts would not mend the others. The message and the detail
 * `failedKeys` (a JSON array) name exactly the keys that were not written. A request of one item fails with its own error.
 */
export function partialFailure(store: string, failures: readonly Failure[], total: number): unknown {
  const [first] = failures;
  if (first === undefined || total === 1) return first?.error;
  const errors = failures.map(({ error }) => asRuntimeError(store, error));
  const decisive = errors.find(({ code }) => code !== "ABORTED") ?? errors[0];
  const code: ErrorCode = decisive?.code ?? "INTERNAL";
  const reason = errors.every((error) => error.reason === decisive?.reason) ? decisive?.reason : undefined;
  const listed = failures.map(({ key }, index) => `'${key}': ${errors[index]?.message}`).join("; ");
  const rest = failures.length === total ? "" : ", the others were applied";
  return new RuntimeError(
    code,
    reason ?? "PARTIAL_FAILURE",
    `${failures.length} of ${total} writes to ${store} failed${rest}: ${listed}`,
    { cause: first.error, details: { failedKeys: JSON.stringify(failures.map(({ key }) => key)) } },
  );
}

function asRuntimeError(store: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError")) {
    return new RuntimeError("CANCELLED", "CANCELLED", "the call ended before it was written", { cause: error });
  }
  return new RuntimeError("INTERNAL", "STORE_FAILED", `${store} failed`, { cause: error });
}

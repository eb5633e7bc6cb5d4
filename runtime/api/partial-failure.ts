import { type ErrorCode, RuntimeError } from "../../components/error.ts";

/** What went wrong with one key of a bulk write. */
export interface Failure {
  readonly key: string;
  readonly error: unknown;
}

/** Most failures that the message tells in full; what a status carries is limited by what peers take as headers. */
const told = 10;
const maxKeysBytes = 2048;

/**
 * The error of a bulk write of which a part was applied. Its code is the one that the failures share; when they differ,
 * the first that is not ABORTED, since repeating only the conflicts would not mend the others. The message tells the first
 * ten failures; the details count them (`failedCount`) and name exactly the keys that were not written (`failedKeys`, a
 * JSON array, cut at 2 KiB). A request of one item fails with its own error.
 */
export function partialFailure(store: string, failures: readonly Failure[], total: number): unknown {
  const [first] = failures;
  if (first === undefined || total === 1) return first?.error;
  const errors = failures.map(({ error }) => asRuntimeError(store, error));
  const decisive = errors.find(({ code }) => code !== "ABORTED") ?? errors[0];
  const code: ErrorCode = decisive?.code ?? "INTERNAL";
  const reason = errors.every((error) => error.reason === decisive?.reason) ? decisive?.reason : undefined;
  const listed = failures.slice(0, told).map(({ key }, index) => `'${key}': ${errors[index]?.message}`);
  if (failures.length > told) listed.push(`and ${failures.length - told} more`);
  const rest = failures.length === total ? "" : ", the others were applied";
  return new RuntimeError(
    code,
    reason ?? "PARTIAL_FAILURE",
    `${failures.length} of ${total} writes to ${store} failed${rest}: ${listed.join("; ")}`,
    { cause: first.error, details: { failedCount: String(failures.length), failedKeys: namesOf(failures) } },
  );
}

/** As many keys as fit, as a JSON array. */
function namesOf(failures: readonly Failure[]): string {
  const names: string[] = [];
  let size = 2;
  for (const { key } of failures) {
    size += Buffer.byteLength(JSON.stringify(key)) + 1;
    if (size > maxKeysBytes) break;
    names.push(key);
  }
  return JSON.stringify(names);
}

function asRuntimeError(store: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError")) {
    return new RuntimeError("CANCELLED", "CANCELLED", "the call ended before it was written", { cause: error });
  }
  return new RuntimeError("INTERNAL", "STORE_FAILED", `${store} failed`, { cause: error });
}

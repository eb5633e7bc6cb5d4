/** Names of the gRPC status codes other than OK (https://grpc.io/docs/guides/status-codes/). */
export type ErrorCode =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/**
 * The one error of the runtime and its components. `code` is a gRPC status name, `reason` an upper-case word that a
 * machine can match (`ETAG_MISMATCH`), the message a sentence for an operator: what, which one, what to do.
 */
export class RuntimeError extends Error {
  readonly code: ErrorCode;
  readonly reason: string;
  /** Facts for a machine beside the reason, such as the keys that failed; they travel as the metadata of ErrorInfo. */
  readonly details: Readonly<Record<string, string>>;

  constructor(
    code: ErrorCode,
    reason: string,
    message: string,
    options?: { cause?: unknown; details?: Readonly<Record<string, string>> },
  ) {
    super(message, options);
    this.name = "RuntimeError";
    this.code = code;
    this.reason = reason;
    this.details = options?.details ?? {};
  }
}

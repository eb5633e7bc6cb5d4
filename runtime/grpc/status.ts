import { type ErrorCode, RuntimeError } from "../../components/error.ts";
import { ErrorInfo, Status } from "../../proto/gen/google/rpc/status.ts";
import { statusCode, statusNames } from "./status-code.ts";

/** A failed call as gRPC tells it. */
export interface FailedStatus {
  readonly code: number;
  readonly message: string;
  /** Encoded google.rpc.Status for `grpc-status-details-bin`. */
  readonly details: Uint8Array;
}

const domain = "outrigger";
/** Longest message as it travels, percent-encoded in a trailer and again in the details: some peers take 8 KiB of trailers. */
const longestMessageBytes = 2048;

export const statusCodeOf = (code: ErrorCode): number => statusCode[code];

/** The name of a status code; UNKNOWN for a number that has none. */
export const errorCodeOf = (code: number): ErrorCode | "OK" => statusNames[code] ?? "UNKNOWN";

/** What the caller is told: a RuntimeError as it is, anything else without what it may give away. */
export function failedStatus(error: unknown): FailedStatus {
  const { code, reason, message, details } = asRuntimeError(error);
  const text = shorten(message);
  const info = ErrorInfo.encode({ reason, domain, metadata: { ...details } }).finish();
  const encoded = Status.encode({
    code: statusCodeOf(code),
    message: text,
    details: [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: info }],
  }).finish();
  return { code: statusCodeOf(code), message: text, details: encoded };
}

/** What is not well-formed Unicode could not be encoded at all. */
function shorten(message: string): string {
  const text = message.toWellFormed();
  if (encodeURI(text).length <= longestMessageBytes) return text;
  const ellipsis = "...";
  let end = 0;
  let bytes = ellipsis.length;
  for (const character of text) {
    bytes += encodeURI(character).length;
    if (bytes > longestMessageBytes) break;
    end += character.length;
  }
  return text.slice(0, end) + ellipsis;
}

/** Any failure as a RuntimeError; one that is not is INTERNAL, with the original as its cause. */
export function asRuntimeError(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  if (error instanceof Error && error.name === "AbortError") {
    return new RuntimeError("CANCELLED", "CANCELLED", "the call was cancelled", { cause: error });
  }
  if (error instanceof Error && error.name === "TimeoutError") {
    return new RuntimeError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the time for the call has passed", {
      cause: error,
    });
  }
  return new RuntimeError("INTERNAL", "INTERNAL", "the runtime failed to serve the call; its log says why", {
    cause: error,
  });
}

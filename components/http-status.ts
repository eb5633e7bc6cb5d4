import type { ErrorCode } from "./error.ts";

const codes: Readonly<Record<number, ErrorCode>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  408: "DEADLINE_EXCEEDED",
  409: "ALREADY_EXISTS",
  412: "FAILED_PRECONDITION",
  413: "RESOURCE_EXHAUSTED",
  416: "OUT_OF_RANGE",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  501: "UNIMPLEMENTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/**
 * The gRPC code of an HTTP answer that was no success. Statuses without a code of their own: FAILED_PRECONDITION for the
 * other 4xx, INTERNAL for the other 5xx, UNKNOWN for redirects and whatever is no status at all.
 */
export function codeOfHttpStatus(status: number): ErrorCode {
  const exact = codes[status];
  if (exact !== undefined) return exact;
  if (status >= 500 && status < 600) return "INTERNAL";
  return status >= 400 && status < 500 ? "FAILED_PRECONDITION" : "UNKNOWN";
}

const statuses: Readonly<Record<ErrorCode, number>> = {
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
};

/** The HTTP status of a gRPC code, as google.rpc.Code maps them. */
export const httpStatusOf = (code: ErrorCode): number => statuses[code];

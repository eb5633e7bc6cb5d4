import type { ErrorCode } from "../../components/error.ts";

/** Numbers of gRPC's status codes by name (https://grpc.io/docs/guides/status-codes/). */
export const statusCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const satisfies Readonly<Record<ErrorCode | "OK", number>>;

/** The names, each at the place of its number. */
export const statusNames = Object.keys(statusCode) as readonly (keyof typeof statusCode)[];

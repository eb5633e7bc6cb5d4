import { type ServiceError, status } from "@grpc/grpc-js";
import { ErrorInfo, Status } from "../proto/gen/google/rpc/status.ts";

/** Names of the gRPC status codes other than OK. */
export type StatusName = Exclude<keyof typeof status, "OK">;

/** A call that failed. */
export class OutriggerError extends Error {
  /** Name of the gRPC status (`ABORTED`). */
  readonly code: StatusName;
  /** An upper-case word for programs (`ETAG_MISMATCH`); empty when the runtime gave none. */
  readonly reason: string;
  /** The method called (`SaveState`); empty when no call was made. */
  readonly method: string;
  /** More facts for programs, such as `failedKeys` of a bulk write. */
  readonly details: Readonly<Record<string, string>>;

  constructor(
    code: StatusName,
    reason: string,
    message: string,
    options: { method?: string; details?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "OutriggerError";
    this.code = code;
    this.reason = reason;
    this.method = options.method ?? "";
    this.details = options.details ?? {};
  }

  /** The keys that a bulk write did not write, as many as a status carries; `details.failedCount` counts them all. */
  get failedKeys(): readonly string[] {
    const keys: unknown = JSON.parse(this.details.failedKeys ?? "[]");
    return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : [];
  }
}

/** The error of a failed call of the method. */
export function errorOf(cause: unknown, method: string): OutriggerError {
  if (!isServiceError(cause)) return new OutriggerError("UNKNOWN", "", String(cause), { method, cause });
  const name = status[cause.code];
  const info = errorInfoOf(cause);
  return new OutriggerError(isStatusName(name) ? name : "UNKNOWN", info?.reason ?? "", cause.details, {
    method,
    details: info?.metadata ?? {},
    cause,
  });
}

/** The error of a call that its caller's signal ended. */
export const cancelled = (method: string, signal: AbortSignal): OutriggerError =>
  new OutriggerError("CANCELLED", "CANCELLED", "the call was cancelled by its signal", {
    method,
    cause: signal.reason,
  });

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}

const isStatusName = (name: string | undefined): name is StatusName =>
  name !== undefined && name in status && name !== "OK";

/** The ErrorInfo that the runtime sends with a failure; what cannot be read counts as none. */
function errorInfoOf({ metadata }: ServiceError): ErrorInfo | undefined {
  const [encoded] = metadata.get("grpc-status-details-bin");
  if (!(encoded instanceof Uint8Array)) return undefined;
  try {
    const info = Status.decode(encoded).details.find(({ typeUrl }) => typeUrl.endsWith("/google.rpc.ErrorInfo"));
    return info && ErrorInfo.decode(info.value);
  } catch {
    return undefined;
  }
}

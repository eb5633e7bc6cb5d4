import { AbiStatus } from "./abi-types";

/** The status codes of gRPC, which every call of this library answers with. */
export const enum StatusCode {
  Ok = 0,
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  /** Somebody else was faster: read again and retry. */
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
}

/** How a call without an answer ended. AssemblyScript has no exceptions, so failures are values. */
export class Status {
  constructor(
    readonly code: StatusCode,
    /** A sentence for an operator; empty when all went well. */
    readonly message: string,
  ) {}

  /** Whether all went well. */
  @inline
  get ok(): bool {
    return this.code == StatusCode.Ok;
  }

  /** The code as gRPC writes it, such as `ABORTED`. */
  get name(): string {
    return nameOf(this.code);
  }

  /** `ABORTED: the etag does not match`, for a log line. */
  toString(): string {
    return this.name + (this.message.length > 0 ? ": " + this.message : "");
  }
}

/** How a call with an answer ended: `ok` and `value`, or `code` and `message`. */
export class Result<T> extends Status {
  constructor(
    code: StatusCode,
    message: string,
    private readonly held: T,
  ) {
    super(code, message);
  }

  /** The answer; asking a failure for it ends the instance, so look at `ok` first. */
  get value(): T {
    if (!this.ok) abort("the value of a failed call was used: " + this.toString());
    return this.held;
  }
}

/** A result that went well. */
export function success<T>(value: T): Result<T> {
  return new Result<T>(StatusCode.Ok, "", value);
}

/** A result that failed. */
export function failure<T>(code: StatusCode, message: string): Result<T> {
  if (isReference<T>()) return new Result<T>(code, message, changetype<T>(0));
  return new Result<T>(code, message, <T>0);
}

/** The status that a hostcall's answer stands for. */
export function statusOf(answer: AbiStatus, what: string): Status {
  if (answer == AbiStatus.Ok) return new Status(StatusCode.Ok, "");
  return new Status(codeOf(answer), what + ": " + sentenceOf(answer));
}

function codeOf(answer: AbiStatus): StatusCode {
  switch (answer) {
    case AbiStatus.Ok: return StatusCode.Ok;
    case AbiStatus.NotFound: return StatusCode.NotFound;
    case AbiStatus.BadArgument: return StatusCode.InvalidArgument;
    case AbiStatus.SerializationFailure:
    case AbiStatus.ParseFailure: return StatusCode.InvalidArgument;
    case AbiStatus.Empty: return StatusCode.NotFound;
    case AbiStatus.CasMismatch: return StatusCode.Aborted;
    case AbiStatus.BrokenConnection: return StatusCode.Unavailable;
    case AbiStatus.Unimplemented: return StatusCode.Unimplemented;
    default: return StatusCode.Internal;
  }
}

function sentenceOf(answer: AbiStatus): string {
  switch (answer) {
    case AbiStatus.NotFound: return "the host does not know it";
    case AbiStatus.BadArgument: return "the host refused an argument, or it is not available in this phase";
    case AbiStatus.SerializationFailure: return "the value cannot be given as bytes";
    case AbiStatus.ParseFailure: return "the host could not parse an argument";
    case AbiStatus.InvalidMemoryAccess: return "the host could not use the guest's memory";
    case AbiStatus.Empty: return "there is nothing to take";
    case AbiStatus.CasMismatch: return "the value was changed in between";
    case AbiStatus.InternalFailure: return "the host failed, or the plugin may not do this";
    case AbiStatus.BrokenConnection: return "the connection broke";
    case AbiStatus.Unimplemented: return "the host does not do this";
    default: return "the host answered " + (<i32>answer).toString();
  }
}

function nameOf(code: StatusCode): string {
  switch (code) {
    case StatusCode.Ok: return "OK";
    case StatusCode.Cancelled: return "CANCELLED";
    case StatusCode.InvalidArgument: return "INVALID_ARGUMENT";
    case StatusCode.DeadlineExceeded: return "DEADLINE_EXCEEDED";
    case StatusCode.NotFound: return "NOT_FOUND";
    case StatusCode.AlreadyExists: return "ALREADY_EXISTS";
    case StatusCode.PermissionDenied: return "PERMISSION_DENIED";
    case StatusCode.ResourceExhausted: return "RESOURCE_EXHAUSTED";
    case StatusCode.FailedPrecondition: return "FAILED_PRECONDITION";
    case StatusCode.Aborted: return "ABORTED";
    case StatusCode.OutOfRange: return "OUT_OF_RANGE";
    case StatusCode.Unimplemented: return "UNIMPLEMENTED";
    case StatusCode.Internal: return "INTERNAL";
    case StatusCode.Unavailable: return "UNAVAILABLE";
    case StatusCode.DataLoss: return "DATA_LOSS";
    case StatusCode.Unauthenticated: return "UNAUTHENTICATED";
    default: return "UNKNOWN";
  }
}

import { callForeignFunction } from "../foreign";
import { runtimeService } from "../grpc";
import { decode, ProtoMessage } from "../protobuf";
import { failure, Result, Status, StatusCode } from "../status";

/** Calls a method of the runtime and waits for its answer. Needs `suspends: true` in the manifest. */
export function callRuntime<A extends ProtoMessage>(method: string, request: ProtoMessage): Result<A> {
  const answer = callForeignFunction("/" + runtimeService + "/" + method, request.encode());
  return answer.ok ? decode<A>(answer.value) : failure<A>(answer.code, answer.message);
}

/** As `callRuntime`, for methods that answer nothing. */
export function tellRuntime(method: string, request: ProtoMessage): Status {
  const answer = callForeignFunction("/" + runtimeService + "/" + method, request.encode());
  return answer.ok ? new Status(StatusCode.Ok, "") : new Status(answer.code, answer.message);
}

import { proxy_call_foreign_function } from "./abi";
import { AbiStatus } from "./abi-types";
import { lastStatus } from "./grpc";
import { clearReturned, returnPointer, returnSize, takeReturned } from "./memory";
import { failure, Result, StatusCode, statusOf, success } from "./status";
import { encodeBuffer } from "./text";

/**
 * Calls a function of the host by name, with bytes, and waits for its bytes. A full gRPC method name
 * (`/spec.proto.runtime.v1.Runtime/GetState`) is a call to the runtime; it needs `suspends: true` in the manifest. UNIMPLEMENTED
 * when the host does not know it.
 */
export function callForeignFunction(name: string, argument: Uint8Array): Result<Uint8Array> {
  const functionName = encodeBuffer(name);
  clearReturned();
  const answer = proxy_call_foreign_function(
    changetype<usize>(functionName), functionName.byteLength,
    argument.dataStart, argument.byteLength,
    returnPointer, returnSize,
  );
  if (answer == AbiStatus.Ok) return success(Uint8Array.wrap(takeReturned()));
  const unknown = answer == AbiStatus.NotFound;
  const fallback = statusOf(answer, "function '" + name + "'");
  // A host may still hold the status of another call: only one that fits the answer is about this one.
  const status = lastStatus();
  const fits = status.code == fallback.code || (unknown && status.code == StatusCode.Unimplemented);
  if (status.code != StatusCode.Ok && (fits || name.startsWith("/"))) {
    return failure<Uint8Array>(status.code, status.message);
  }
  return failure<Uint8Array>(unknown ? StatusCode.Unimplemented : fallback.code, fallback.message);
}

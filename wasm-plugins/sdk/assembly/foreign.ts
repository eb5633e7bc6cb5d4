import { proxy_call_foreign_function } from "./abi";
import { AbiStatus } from "./abi-types";
import { lastStatus } from "./grpc";
import { clearReturned, returnPointer, returnSize, takeReturned } from "./memory";
import { failure, Result, StatusCode, statusOf, success } from "./status";
import { encodeBuffer } from "./text";

/**
 * Calls a function of the host by name, with bytes, and waits for its bytes. A full gRPC method name
 * (`/spec.proto.runtime.v1.Runtime/GetState`) is a call to the runtime; it needs `suspends: true` in the manifest.
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
  const status = lastStatus();
  if (status.code != StatusCode.Ok) return failure<Uint8Array>(status.code, status.message);
  const fallback = statusOf(answer, "function '" + name + "'");
  const unknown = answer == AbiStatus.NotFound;
  return failure<Uint8Array>(unknown ? StatusCode.Unimplemented : fallback.code, fallback.message);
}

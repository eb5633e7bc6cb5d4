import type { MethodDefinition } from "@grpc/grpc-js";
import { RuntimeError } from "../../components/error.ts";
import type { CallOptions, GrpcChannel } from "../grpc/client-channel.ts";
import { errorCodeOf } from "../grpc/status.ts";

/** One call of the application; rejects with a RuntimeError of the status's code, CANCELLED when the signal aborts. */
export async function unaryCall<Q, R>(
  channel: GrpcChannel,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Q, R>,
  request: Q,
  options: CallOptions,
): Promise<R> {
  const { status, message } = await channel.unary(path, requestSerialize(request), options);
  const code = errorCodeOf(status.code);
  if (code === "OK" && message !== undefined) return responseDeserialize(message);
  const text = `the application answered ${path} with ${code}: ${status.message}`;
  throw new RuntimeError(code === "OK" ? "UNKNOWN" : code, "APPLICATION_CALL_FAILED", text);
}

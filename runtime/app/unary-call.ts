import type { MethodDefinition } from "@grpc/grpc-js";
import { RuntimeError } from "../../components/error.ts";
import type { CallOptions, GrpcChannel } from "../grpc/client-channel.ts";
import { errorCodeOf } from "../grpc/status.ts";

/** Longest wait for what the application wants. */
export const listTimeoutMs = 5_000;

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

export const isUnimplemented = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === "UNIMPLEMENTED";

/** The answer of the application; undefined when it does not know the method. */
export async function ifSpoken<R>(answer: Promise<R>): Promise<R | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isUnimplemented(error)) return undefined;
    throw error;
  }
}

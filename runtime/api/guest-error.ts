import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { asRuntimeError } from "../grpc/status.ts";

/** What a guest is told of a failure of its call; the log gets what it is not. */
export function toldToGuest(error: unknown, { log, signal }: CallContext): RuntimeError {
  if (signal.aborted && error === signal.reason && !(error instanceof RuntimeError)) {
    return new RuntimeError("CANCELLED", "CANCELLED", "the call was cancelled", { cause: error });
  }
  const known = asRuntimeError(error);
  if (known.code === "INTERNAL") log.error({ err: known.cause ?? error }, "a call of a plugin failed");
  return known;
}

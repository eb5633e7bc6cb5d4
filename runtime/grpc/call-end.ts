import { RuntimeError } from "../../components/error.ts";

/** Why a call is over for what still waits within it. */
export const cancelled = (): RuntimeError =>
  new RuntimeError("CANCELLED", "CANCELLED", "the caller cancelled the call");
export const answered = (): RuntimeError =>
  new RuntimeError("CANCELLED", "CALL_ENDED", "the call has been answered already");
export const deadlineExceeded = (): RuntimeError =>
  new RuntimeError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the deadline of the call passed before it was answered");
export const shuttingDown = (): RuntimeError =>
  new RuntimeError("UNAVAILABLE", "SHUTTING_DOWN", "the runtime is shutting down; call it again when it is back");

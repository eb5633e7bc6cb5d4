import { type ErrorCode, RuntimeError } from "../../../components/error.ts";

/** The variant `error` of the world. */
export interface WitError {
  readonly tag: string;
  readonly val: string;
}

/** A failure of the host's as the guest gets it; what is no RuntimeError tells the guest nothing of the sidecar. */
export function witError(error: unknown): WitError {
  if (error instanceof RuntimeError) return { tag: tagOf(error.code), val: error.message };
  return { tag: "internal", val: "the sidecar failed to do this; its log may say why" };
}

/** Ends a promise with the error that the guest is to get. */
export function throwWit(error: unknown): never {
  throw witError(error);
}

const tagOf = (code: ErrorCode): string => code.toLowerCase().replaceAll("_", "-");

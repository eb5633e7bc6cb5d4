import { RuntimeError } from "../../../components/error.ts";
import { witError } from "../outrigger/wit-error.ts";

/** A failure of a file store as the guest gets it: in a sentence. */
export const blobError = (error: unknown): string => (typeof error === "string" ? error : witError(error).val);

/** Ends a promise with the error that the guest is to get. */
export function throwBlobError(error: unknown): never {
  throw blobError(error);
}

export const isNotFound = (error: unknown): boolean => error instanceof RuntimeError && error.code === "NOT_FOUND";

import { RuntimeError } from "../../../components/error.ts";
import { witError } from "../outrigger/wit-error.ts";

/** The variant `error` of wasi:keyvalue. */
export type StoreError =
  | { readonly tag: "no-such-store" }
  | { readonly tag: "access-denied" }
  | { readonly tag: "other"; readonly val: string };

/** A failure of a state store as the guest gets it. */
export function storeError(error: unknown): StoreError {
  if (error instanceof RuntimeError) {
    if (error.code === "PERMISSION_DENIED") return { tag: "access-denied" };
    if (absent.has(error.reason)) return { tag: "no-such-store" };
  }
  return { tag: "other", val: witError(error).val };
}

/** What the runtime says of a store that its configuration does not have. */
const absent: ReadonlySet<string> = new Set(["STATE_STORE_NOT_FOUND", "STATE_STORE_NOT_CONFIGURED"]);

/** Ends a promise with the error that the guest is to get. */
export function throwStoreError(error: unknown): never {
  throw storeError(error);
}

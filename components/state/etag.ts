import { randomBytes } from "node:crypto";
import { RuntimeError } from "../error.ts";
import type { DeleteState, SetState } from "./state-store.ts";

/**
 * Etags of one opening of a store: a random beginning and a count. None is given twice, neither after an entry was
 * deleted and made again nor after the store was reopened or restored from a copy.
 */
export function etagSource(): () => string {
  // Made with the first etag: node:crypto takes 2 MB, and a store that is only read needs none of it.
  let beginning: string | undefined;
  let count = 0;
  return () => {
    beginning ??= randomBytes(6).toString("base64url");
    return `${beginning}.${(++count).toString(36)}`;
  };
}

/** The etag that a write insists on; an empty one counts as none. */
export const expectedEtag = ({ etag }: SetState | DeleteState): string | undefined => (etag === "" ? undefined : etag);

/** The error of a write that came too late. */
export function etagMismatch(store: string, write: SetState | DeleteState): RuntimeError {
  const message =
    expectedEtag(write) === undefined
      ? `key '${write.key}' of state store '${store}' exists, and a first-write needs its etag to replace it`
      : `key '${write.key}' of state store '${store}' was written or deleted since its etag was read; read it again`;
  return new RuntimeError("ABORTED", "ETAG_MISMATCH", message, { details: { key: write.key } });
}

import { etagMismatch, expectedEtag } from "./etag.ts";
import { revisionOf } from "./etcd-entry.ts";
import type { DeleteState, SetState, StateOperation } from "./state-store.ts";

/** What has to be true of a key before a transaction begins. */
export interface Condition {
  /** The operation that insists on it. */
  readonly write: SetState | DeleteState;
  /** The revision at which the key was last written; absent when it must not exist. */
  readonly revision?: bigint;
}

/** A transaction with one condition and one change for each key at most, as etcd wants it. */
export interface FoldedTransaction {
  readonly conditions: ReadonlyMap<string, Condition>;
  /** What is left under each key that is written; undefined for nothing. */
  readonly changes: ReadonlyMap<string, SetState | undefined>;
}

/** Folds the operations on each key in their order. Throws for one that fails whatever there was before. */
export function foldOperations(store: string, operations: readonly StateOperation[]): FoldedTransaction {
  const conditions = new Map<string, Condition>();
  const changes = new Map<string, SetState | undefined>();
  for (const operation of operations) {
    const set = operation.operation === "set" ? operation.set : undefined;
    const write = operation.operation === "set" ? operation.set : operation.delete;
    const { key } = write;
    const condition = conditionOf(store, write, set !== undefined);
    if (condition !== undefined) {
      if (!changes.has(key)) conditions.set(key, condition);
      // Nobody knows the etag of what was written a moment ago; all that can be met is that there is nothing.
      else if (condition.revision !== undefined || changes.get(key) !== undefined) throw etagMismatch(store, write);
    }
    changes.set(key, set);
  }
  return { conditions, changes };
}

/** What a write insists on, if anything. Throws when it can never be met. */
export function conditionOf(store: string, write: SetState | DeleteState, isSet: boolean): Condition | undefined {
  const etag = expectedEtag(write);
  if (etag === undefined) return isSet && write.concurrency === "first-write" ? { write } : undefined;
  const revision = revisionOf(etag);
  if (revision === undefined) throw etagMismatch(store, write);
  return { write, revision };
}

import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

export type Consistency = "eventual" | "strong";
/** `first-write`: only the first writer wins, so a write without the current etag of an existing key is refused. */
export type Concurrency = "first-write" | "last-write";

export interface StateEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Opaque, never empty, changes with every write. */
  readonly etag: string;
  /** Milliseconds since the epoch; absent when the entry lives until it is deleted. */
  readonly expiresAtMs?: number;
}

export interface GetState {
  readonly key: string;
  readonly consistency: Consistency;
}

export interface SetState {
  readonly key: string;
  readonly value: Uint8Array;
  /** The write succeeds only while this is the entry's etag. */
  readonly etag?: string;
  readonly concurrency: Concurrency;
  readonly consistency: Consistency;
  /** Life of the entry from now in milliseconds; absent removes an earlier limit. */
  readonly ttlMs?: number;
}

export interface DeleteState {
  readonly key: string;
  readonly etag?: string;
  /** Without an etag a delete is unconditional, whichever this is. */
  readonly concurrency: Concurrency;
}

export type StateOperation =
  | { readonly operation: "set"; readonly set: SetState }
  | { readonly operation: "delete"; readonly delete: DeleteState };

export interface ListKeys {
  /** What the keys begin with; empty for all. */
  readonly prefix: string;
  /** Of the page before, with the same prefix; undefined for the first. */
  readonly cursor: string | undefined;
  /** Most keys of the page, at least 1; a server that counts in pieces of its own may give a few more. */
  readonly limit: number;
}

export interface KeyPage {
  /** No key is twice on a page. There may be none, and yet a page after it. */
  readonly keys: readonly string[];
  /** What to ask the next page with; undefined when this is the last. */
  readonly cursor: string | undefined;
}

/**
 * A key-value store with etags and expiry. A refused etag throws RuntimeError ABORTED / ETAG_MISMATCH; an expired entry
 * is absent everywhere at once. Deleting what does not exist succeeds, unless an etag was given.
 * Values handed in may be reused by the caller afterwards and values handed out may be kept: a store copies what it keeps.
 */
export interface StateStore extends AsyncDisposable {
  get(request: GetState, call: CallContext): Promise<StateEntry | undefined>;
  /** Resolves once the write is as durable as the store makes it. */
  set(request: SetState, call: CallContext): Promise<void>;
  delete(request: DeleteState, call: CallContext): Promise<void>;
  /** All operations in order, or none of them; absent on a store without transactions. */
  transact?(operations: readonly StateOperation[], call: CallContext): Promise<void>;
  /**
   * The keys of entries, a page at a time, in no promised order; absent on a store that cannot list them. A key that is there
   * from the first page to the last comes at least once; one that is made or deleted meanwhile may come or not, and what has
   * expired never does. A key may come on two pages when it is written meanwhile, and on Redis also when the server moves it.
   * Left out may be keys of more than 1024 bytes, of which some stores keep a digest only. INVALID_ARGUMENT / CURSOR_UNKNOWN for
   * a cursor that no page gave, ABORTED / LISTING_INTERRUPTED for one that the server no longer knows: then begin again.
   */
  keys?(request: ListKeys, call: CallContext): Promise<KeyPage>;
}

/**
 * `transactions`: `transact` is there. `keys`: `keys` is. `ttl`: entries may have a limit of life. `durable`: entries outlast the component.
 * `shared`: all who have it open with the same settings, in any process, have the same entries.
 */
export type StateCapability = "transactions" | "keys" | "ttl" | "durable" | "shared";

export const defineStateStore = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<StateStore, Schema, StateCapability>,
): ComponentDefinition<StateStore, Schema, StateCapability> => definition;

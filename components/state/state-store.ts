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
}

/**
 * `transactions`: `transact` is there. `ttl`: entries may have a limit of life. `durable`: entries outlast the component.
 * `shared`: all who have it open with the same settings, in any process, have the same entries.
 */
export type StateCapability = "transactions" | "ttl" | "durable" | "shared";

export const defineStateStore = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<StateStore, Schema, StateCapability>,
): ComponentDefinition<StateStore, Schema, StateCapability> => definition;

import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

export interface TryLock {
  readonly resource: string;
  readonly owner: string;
  /** Length of the lease from now, in milliseconds. */
  readonly leaseMs: number;
}

export interface Unlock {
  readonly resource: string;
  readonly owner: string;
}

export type LockOutcome = "success" | "not-locked" | "owned-by-other";

/** Locks with a lease. They are not re-entrant: an owner that holds a lock does not get it again. */
export interface LockStore extends AsyncDisposable {
  /** True when the lock was free and now belongs to the owner; never waits. */
  tryLock(request: TryLock, call: CallContext): Promise<boolean>;
  unlock(request: Unlock, call: CallContext): Promise<LockOutcome>;
  /** Makes the owner's lease end `leaseMs` from now. */
  renew(request: TryLock, call: CallContext): Promise<LockOutcome>;
}

/** `durable`: leases outlast the component. `shared`: they hold for all who have it open with the same settings, in any process. */
export type LockCapability = "durable" | "shared";

export const defineLockStore = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<LockStore, Schema, LockCapability>,
): ComponentDefinition<LockStore, Schema, LockCapability> => definition;

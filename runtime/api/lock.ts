import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { LockOutcome, LockStore } from "../../components/lock/lock-store.ts";
import { storedKey } from "./key-prefix.ts";
import type { OpenedStore, StoreSet } from "./stores.ts";

/** A lock by name and who holds it, or wants to. */
export interface LockRequest {
  readonly store: string;
  readonly resource: string;
  readonly owner: string;
}

/** The same, with the length of the lease from now. */
export interface LeaseRequest extends LockRequest {
  readonly expireSeconds: number;
}

/** The lock building block; empty names and leases that are not above 0 are INVALID_ARGUMENT. */
export interface LockBlock {
  /** True when the lock was free and now belongs to the owner; never waits. */
  tryLock(request: LeaseRequest, call: CallContext): Promise<boolean>;
  unlock(request: LockRequest, call: CallContext): Promise<LockOutcome>;
  /** Makes the lease of an owner that still holds the lock end `expireSeconds` from now. */
  keepAlive(request: LeaseRequest, call: CallContext): Promise<LockOutcome>;
}

/** The block over the stores that are open when a call comes. */
export function createLock(stores: StoreSet<LockStore>): LockBlock {
  return {
    async tryLock(request, call) {
      const opened = stores.find(request.store);
      return opened.store.tryLock(leaseOf(opened, request, call), call);
    },
    async unlock(request, call) {
      const opened = stores.find(request.store);
      return opened.store.unlock(holderOf(opened, request, call), call);
    },
    async keepAlive(request, call) {
      const opened = stores.find(request.store);
      return opened.store.renew(leaseOf(opened, request, call), call);
    },
  };
}

function holderOf(
  opened: OpenedStore<LockStore>,
  { resource, owner }: LockRequest,
  { appId }: CallContext,
): { resource: string; owner: string } {
  const stored = storedKey("lock", opened, resource, { appId, what: "resource" });
  if (owner !== "") return { resource: stored, owner };
  const message = `the owner of the lock on '${resource}' is empty; give a name that no other holder uses`;
  throw new RuntimeError("INVALID_ARGUMENT", "LOCK_OWNER_EMPTY", message);
}

function leaseOf(
  opened: OpenedStore<LockStore>,
  request: LeaseRequest,
  call: CallContext,
): { resource: string; owner: string; leaseMs: number } {
  const holder = holderOf(opened, request, call);
  if (request.expireSeconds > 0) return { ...holder, leaseMs: request.expireSeconds * 1000 };
  const message = `the lease on '${request.resource}' is ${request.expireSeconds} seconds; expected at least 1`;
  throw new RuntimeError("INVALID_ARGUMENT", "LOCK_EXPIRE_INVALID", message);
}

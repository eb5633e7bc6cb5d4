import {
  LockKeepAliveRequest,
  LockKeepAliveResponse,
  TryLockRequest,
  TryLockResponse,
  UnlockRequest,
  UnlockResponse,
} from "../gen/spec/proto/runtime/v1/runtime";
import { failure, Result, success } from "../status";
import { callRuntime } from "./call";

/** What became of giving back or extending a lock. */
export const enum LockOutcome {
  Done = 0,
  /** Nobody holds it: the lease ended. */
  NotHeld = 1,
  /** Another owner holds it. */
  HeldByOther = 2,
  Failed = 3,
}

/** Leases that at most one owner holds. */
export namespace lock {
  /** Takes the lock for `leaseSeconds` if it is free; never waits. The value tells whether you have it. */
  export function tryLock(store: string, resource: string, owner: string, leaseSeconds: i32): Result<bool> {
    const request = new TryLockRequest();
    request.storeName = store;
    request.resourceId = resource;
    request.lockOwner = owner;
    request.expire = leaseSeconds;
    const answer = callRuntime<TryLockResponse>("TryLock", request);
    return answer.ok ? success<bool>(answer.value.success) : failure<bool>(answer.code, answer.message);
  }

  /** Gives the lock back. */
  export function unlock(store: string, resource: string, owner: string): Result<LockOutcome> {
    const request = new UnlockRequest();
    request.storeName = store;
    request.resourceId = resource;
    request.lockOwner = owner;
    const answer = callRuntime<UnlockResponse>("Unlock", request);
    return answer.ok ? success<LockOutcome>(answer.value.status) : failure<LockOutcome>(answer.code, answer.message);
  }

  /** Extends the lease to `leaseSeconds` from now. */
  export function keepAlive(store: string, resource: string, owner: string, leaseSeconds: i32): Result<LockOutcome> {
    const request = new LockKeepAliveRequest();
    request.storeName = store;
    request.resourceId = resource;
    request.lockOwner = owner;
    request.expire = leaseSeconds;
    const answer = callRuntime<LockKeepAliveResponse>("LockKeepAlive", request);
    return answer.ok ? success<LockOutcome>(answer.value.status) : failure<LockOutcome>(answer.code, answer.message);
  }
}

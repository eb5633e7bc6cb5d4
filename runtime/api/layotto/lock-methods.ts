import type { LockOutcome } from "../../../components/lock/lock-store.ts";
import {
  LockKeepAliveResponse_Status as KeepAliveStatus,
  type RuntimeService,
  UnlockResponse_Status as UnlockStatus,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { LeaseRequest, LockBlock, LockRequest } from "../lock.ts";

/** The lock methods of Layotto's service; failures of the store are errors, not INTERNAL_ERROR in the response. */
export function lockMethods(lock: LockBlock) {
  return {
    async tryLock(request, call) {
      return { success: await lock.tryLock(leaseOf(request), call) };
    },
    async unlock(request, call) {
      return { status: unlockStatus[await lock.unlock(holderOf(request), call)] };
    },
    async lockKeepAlive(request, call) {
      return { status: keepAliveStatus[await lock.keepAlive(leaseOf(request), call)] };
    },
  } satisfies HandlersOf<RuntimeService>;
}

const unlockStatus = {
  success: UnlockStatus.SUCCESS,
  "not-locked": UnlockStatus.LOCK_UNEXIST,
  "owned-by-other": UnlockStatus.LOCK_BELONG_TO_OTHERS,
} as const satisfies Record<LockOutcome, UnlockStatus>;

const keepAliveStatus = {
  success: KeepAliveStatus.SUCCESS,
  "not-locked": KeepAliveStatus.LOCK_UNEXIST,
  "owned-by-other": KeepAliveStatus.LOCK_BELONG_TO_OTHERS,
} as const satisfies Record<LockOutcome, KeepAliveStatus>;

interface HolderMessage {
  readonly storeName: string;
  readonly resourceId: string;
  readonly lockOwner: string;
}

function holderOf({ storeName, resourceId, lockOwner }: HolderMessage): LockRequest {
  return { store: storeName, resource: resourceId, owner: lockOwner };
}

function leaseOf(request: HolderMessage & { readonly expire: number }): LeaseRequest {
  return { ...holderOf(request), expireSeconds: request.expire };
}

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { RuntimeService } from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { OutriggerError } from "./error.ts";

/** A lock and who holds it, or wants to. */
export interface LockHolder {
  readonly store: string;
  readonly resource: string;
  /** A name that no other holder uses. */
  readonly owner: string;
}

export interface LockLease extends LockHolder {
  /** Whole seconds from now until the lock is free again by itself. */
  readonly expireSeconds: number;
}

export type LockOutcome = "success" | "not-locked" | "owned-by-other" | "internal-error";

export interface WithLock {
  readonly store: string;
  readonly resource: string;
  /** Default a new UUID. */
  readonly owner?: string;
  /** Length of the lease, which is renewed while the work goes on; default 30. */
  readonly expireSeconds?: number;
  /** How long to try while another holds the lock; default 0: once. */
  readonly waitMs?: number;
}

/** What the work under a lock is handed. */
export interface HeldLock {
  readonly owner: string;
  /** Aborts when the lease could not be renewed, so that another may hold the lock now, or when the caller's signal does. */
  readonly signal: AbortSignal;
}

const outcomes = ["success", "not-locked", "owned-by-other", "internal-error"] as const;
const retryMs = 100;

/** Locks with a lease. They are not re-entrant. */
export class LockClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** True when the lock was free and now belongs to the owner; never waits. */
  async tryLock(lease: LockLease, options?: CallOptions): Promise<boolean> {
    const request = { ...messageOf(lease), expire: lease.expireSeconds };
    const { success } = await this.#channel.unary(RuntimeService.tryLock, request, options);
    return success;
  }

  async unlock(holder: LockHolder, options?: CallOptions): Promise<LockOutcome> {
    const { status } = await this.#channel.unary(RuntimeService.unlock, messageOf(holder), options);
    return outcomes[status];
  }

  /** Makes the owner's lease end `expireSeconds` from now. */
  async keepAlive(lease: LockLease, options?: CallOptions): Promise<LockOutcome> {
    const request = { ...messageOf(lease), expire: lease.expireSeconds };
    const { status } = await this.#channel.unary(RuntimeService.lockKeepAlive, request, options);
    return outcomes[status];
  }

  /**
   * Does the work while holding the lock and renewing its lease, then gives the lock back. Rejects with ABORTED:
   * LOCK_HELD when another holds it for longer than `waitMs`, LOCK_LOST when it was lost before the work ended.
   */
  async withLock<T>(
    request: WithLock,
    work: (held: HeldLock) => Promise<T>,
    options: Pick<CallOptions, "signal" | "metadata"> = {},
  ): Promise<T> {
    const { store, resource, owner = randomUUID(), expireSeconds = 30, waitMs = 0 } = request;
    const lease = { store, resource, owner, expireSeconds };
    await this.#acquire(lease, waitMs, options);
    const lost = new AbortController();
    const done = new AbortController();
    const renewing = this.#renew(lease, lost, done.signal);
    const ends = options.signal === undefined ? [lost.signal] : [lost.signal, options.signal];
    try {
      const result = await work({ owner, signal: AbortSignal.any(ends) });
      if (lost.signal.aborted) throw lost.signal.reason;
      return result;
    } finally {
      done.abort();
      await renewing;
      // A lock that cannot be given back ends with its lease.
      if (!lost.signal.aborted) await this.unlock(lease).catch(() => undefined);
    }
  }

  async #acquire(lease: LockLease, waitMs: number, options: CallOptions): Promise<void> {
    const until = performance.now() + waitMs;
    while (!(await this.tryLock(lease, options))) {
      const left = until - performance.now();
      if (left <= 0) throw lockError("LOCK_HELD", `the lock '${lease.resource}' is held by another`);
      await delay(Math.min(left, retryMs * (0.5 + Math.random())), undefined, {
        ...(options.signal && { signal: options.signal }),
      });
    }
  }

  /** Renews at a third of the lease until done; gives up when it ran out or went to another. Never rejects. */
  async #renew(lease: LockLease, lost: AbortController, done: AbortSignal): Promise<void> {
    const leaseMs = lease.expireSeconds * 1000;
    const lose = (): void => lost.abort(lockError("LOCK_LOST", `the lock '${lease.resource}' was lost`));
    let endsAt = performance.now() + leaseMs;
    for (;;) {
      const stopped = await delay(leaseMs / 3, false, { signal: done }).catch(() => true);
      if (stopped) return;
      const askedAt = performance.now();
      const timeoutMs = Math.max(1, Math.min(leaseMs / 3, endsAt - askedAt));
      const outcome = await this.keepAlive(lease, { signal: done, timeoutMs }).catch(() => undefined);
      if (done.aborted) return;
      if (outcome === "success") endsAt = askedAt + leaseMs;
      else if (outcome !== undefined || performance.now() >= endsAt) return lose();
    }
  }
}

function messageOf({ store, resource, owner }: LockHolder) {
  return { storeName: store, resourceId: resource, lockOwner: owner };
}

const lockError = (reason: string, message: string): OutriggerError => new OutriggerError("ABORTED", reason, message);

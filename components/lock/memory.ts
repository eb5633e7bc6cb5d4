import { z } from "zod";
import type { CallContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { defineLockStore, type LockOutcome, type LockStore, type TryLock, type Unlock } from "./lock-store.ts";

interface Lease {
  readonly owner: string;
  readonly endsAtMs: number;
}

/** Locks among the callers of this one process. */
export const memoryLockStore = defineLockStore({
  type: "memory",
  config: z.strictObject({
    maxLocks: z.int().positive().default(100_000).describe("Most locks held at a time; default 100000"),
  }),
  open: async ({ maxLocks }, { name }) => new MemoryLockStore(name, maxLocks),
});

class MemoryLockStore implements LockStore {
  readonly #name: string;
  readonly #maxLocks: number;
  readonly #leases = new Map<string, Lease>();

  constructor(name: string, maxLocks: number) {
    this.#name = name;
    this.#maxLocks = maxLocks;
  }

  async tryLock({ resource, owner, leaseMs }: TryLock, { signal }: CallContext): Promise<boolean> {
    signal.throwIfAborted();
    if (this.#live(resource) !== undefined) return false;
    if (this.#leases.size >= this.#maxLocks) this.#sweep();
    if (this.#leases.size >= this.#maxLocks) {
      throw new RuntimeError(
        "RESOURCE_EXHAUSTED",
        "LOCK_STORE_FULL",
        `lock store '${this.#name}' holds ${this.#maxLocks} locks; raise maxLocks`,
      );
    }
    this.#leases.set(resource, { owner, endsAtMs: Date.now() + leaseMs });
    return true;
  }

  async unlock({ resource, owner }: Unlock, { signal }: CallContext): Promise<LockOutcome> {
    signal.throwIfAborted();
    const outcome = this.#outcome(resource, owner);
    if (outcome === "success") this.#leases.delete(resource);
    return outcome;
  }

  async renew({ resource, owner, leaseMs }: TryLock, { signal }: CallContext): Promise<LockOutcome> {
    signal.throwIfAborted();
    const outcome = this.#outcome(resource, owner);
    if (outcome === "success") this.#leases.set(resource, { owner, endsAtMs: Date.now() + leaseMs });
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leases.clear();
  }

  #outcome(resource: string, owner: string): LockOutcome {
    const lease = this.#live(resource);
    if (lease === undefined) return "not-locked";
    return lease.owner === owner ? "success" : "owned-by-other";
  }

  #live(resource: string): Lease | undefined {
    const lease = this.#leases.get(resource);
    return lease !== undefined && lease.endsAtMs > Date.now() ? lease : undefined;
  }

  #sweep(): void {
    for (const resource of this.#leases.keys()) if (this.#live(resource) === undefined) this.#leases.delete(resource);
  }
}

import { z } from "zod";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { defineLockStore, type LockOutcome, type LockStore, type TryLock, type Unlock } from "./lock-store.ts";

interface Lease {
  readonly owner: string;
  /** Of the clock that is never set: an adjusted wall clock must not end a lease. */
  readonly endsAtMs: number;
}

/** Bytes that a lease takes beside its names. */
const leaseBytes = 128;

/** Locks among the callers of this one process. */
export const memoryLockStore = defineLockStore({
  type: "memory",
  capabilities: [],
  config: z.strictObject({
    maxBytes: z
      .int()
      .positive()
      .default(64 * 1024 ** 2)
      .describe("Most bytes of the names of locks and owners together; default 64 MiB. A lock over it is refused"),
  }),
  open: async ({ maxBytes }, { name }) => new MemoryLockStore(name, maxBytes),
});

class MemoryLockStore implements LockStore {
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #leases = new Map<string, Lease>();
  #bytes = 0;

  constructor(name: string, maxBytes: number) {
    this.#name = name;
    this.#maxBytes = maxBytes;
  }

  async tryLock({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<boolean> {
    throwIfAborted(call);
    if (this.#live(resource) !== undefined) return false;
    this.#remove(resource);
    this.#makeRoom(resource, owner);
    this.#leases.set(resource, { owner, endsAtMs: performance.now() + leaseMs });
    this.#bytes += sizeOf(resource, owner);
    return true;
  }

  async unlock({ resource, owner }: Unlock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    const outcome = this.#outcome(resource, owner);
    if (outcome === "success") this.#remove(resource);
    return outcome;
  }

  async renew({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    const outcome = this.#outcome(resource, owner);
    if (outcome === "success") this.#leases.set(resource, { owner, endsAtMs: performance.now() + leaseMs });
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
    return lease !== undefined && lease.endsAtMs > performance.now() ? lease : undefined;
  }

  #remove(resource: string): void {
    const lease = this.#leases.get(resource);
    if (lease === undefined) return;
    this.#bytes -= sizeOf(resource, lease.owner);
    this.#leases.delete(resource);
  }

  /** Throws when the leases that have not ended leave no room for another. */
  #makeRoom(resource: string, owner: string): void {
    const isTooMuch = (): boolean => this.#bytes + sizeOf(resource, owner) > this.#maxBytes;
    if (isTooMuch()) {
      for (const held of this.#leases.keys()) if (this.#live(held) === undefined) this.#remove(held);
    }
    if (!isTooMuch()) return;
    const message = `lock store '${this.#name}' holds ${this.#leases.size} locks and has no room for another; raise maxBytes`;
    throw new RuntimeError("RESOURCE_EXHAUSTED", "LOCK_STORE_FULL", message);
  }
}

const sizeOf = (resource: string, owner: string): number => leaseBytes + 2 * (resource.length + owner.length);

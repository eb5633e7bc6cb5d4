import { type EtcdConnection, openEtcd } from "../clients/etcd.ts";
import { EtcdBatch } from "../clients/etcd-batch.ts";
import { EtcdLeases } from "../clients/etcd-leases.ts";
import { deleteOp, foundBy, hasValue, isAtRevision, putOp, readOp, txnOf } from "../clients/etcd-requests.ts";
import { etcdSettings } from "../clients/etcd-settings.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { EndedLocks } from "./etcd-ended-locks.ts";
import { defineLockStore, type LockOutcome, type LockStore, type TryLock, type Unlock } from "./lock-store.ts";

/** Leases of locks that end within the same second are one, which is as exact as the server is with them. */
const leaseSlackMs = 1_000;

/**
 * Locks in etcd: a lock is held for as long as its key is there, so that nobody's clock but the server's and the holder's
 * matters. The sidecar that gave the lock removes the key on time; should that be gone, the server's lease does, some
 * seconds later.
 */
export const etcdLockStore = defineLockStore({
  type: "etcd",
  capabilities: ["durable", "shared"],
  config: etcdSettings("outrigger/lock/"),
  open: async (settings, context) => new EtcdLockStore(await openEtcd(settings, context)),
});

class EtcdLockStore implements LockStore {
  readonly #connection: EtcdConnection;
  readonly #batch: EtcdBatch;
  readonly #leases: EtcdLeases;
  readonly #ended: EndedLocks;

  constructor(connection: EtcdConnection) {
    this.#connection = connection;
    this.#batch = new EtcdBatch(connection);
    this.#leases = new EtcdLeases(connection, leaseSlackMs);
    this.#ended = new EndedLocks((resource, revision) => this.#remove(resource, revision));
  }

  async tryLock({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<boolean> {
    throwIfAborted(call);
    const [key, holder] = [this.#at(resource), Buffer.from(owner)];
    const work = this.#leases.with([leaseMs], async ([lease]) => {
      const txn = txnOf({ compare: [isAtRevision(key, 0n)], success: [putOp(key, holder, lease)] });
      return this.#batch.write(resource, txn, key.length + holder.length);
    });
    const { succeeded, header } = await this.#connection.within(call, work);
    if (succeeded) this.#ended.expect(resource, header?.revision ?? 0n, leaseMs);
    return succeeded;
  }

  async unlock({ resource, owner }: Unlock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    const key = this.#at(resource);
    const { outcome } = await this.#connection.within(call, this.#ifHeld(resource, owner, deleteOp(key)));
    if (outcome === "success") this.#ended.forget(resource);
    return outcome;
  }

  async renew({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    const [key, holder] = [this.#at(resource), Buffer.from(owner)];
    const work = this.#leases.with([leaseMs], ([lease]) => this.#ifHeld(resource, owner, putOp(key, holder, lease)));
    const { outcome, revision } = await this.#connection.within(call, work);
    if (outcome === "success") this.#ended.expect(resource, revision, leaseMs);
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended[Symbol.dispose]();
    await this.#batch.drain();
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Does the operation if the owner holds the lock, and says at which revision. */
  async #ifHeld(
    resource: string,
    owner: string,
    operation: ReturnType<typeof deleteOp>,
  ): Promise<{ outcome: LockOutcome; revision: bigint }> {
    const [key, holder] = [this.#at(resource), Buffer.from(owner)];
    const txn = txnOf({
      compare: [hasValue(key, "EQUAL", holder)],
      success: [operation],
      failure: [readOp(key, { keysOnly: true })],
    });
    const response = await this.#batch.write(resource, txn, key.length + holder.length);
    const revision = response.header?.revision ?? 0n;
    if (response.succeeded) return { outcome: "success", revision };
    return { outcome: foundBy(response, 0).length > 0 ? "owned-by-other" : "not-locked", revision };
  }

  /** Unless it was renewed or given anew. When it fails, the server's lease remains. */
  async #remove(resource: string, revision: bigint): Promise<void> {
    const key = this.#at(resource);
    const txn = txnOf({ compare: [isAtRevision(key, revision)], success: [deleteOp(key)] });
    await this.#batch.write(resource, txn, key.length).catch(() => undefined);
  }

  #at(resource: string): Buffer {
    return Buffer.from(this.#connection.prefix + resource);
  }
}

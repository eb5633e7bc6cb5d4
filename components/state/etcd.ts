import { type EtcdConnection, openEtcd } from "../clients/etcd.ts";
import { EtcdBatch } from "../clients/etcd-batch.ts";
import { EtcdLeases } from "../clients/etcd-leases.ts";
import {
  atOnce,
  endOf as behind,
  deleteOp,
  foundBy,
  hasValue,
  isAtRevision,
  nested,
  nestedInGroups,
  putOp,
  type RequestOp,
  rangeOf,
  readOp,
  type TxnRequest,
  txnOf,
} from "../clients/etcd-requests.ts";
import { etcdSettings } from "../clients/etcd-settings.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { etagMismatch } from "./etag.ts";
import { decodeEntry, encodeEntry, expiredUpTo } from "./etcd-entry.ts";
import { type Condition, conditionOf, foldOperations } from "./etcd-transaction.ts";
import { cursorAt, keyOfBytes, pageStart } from "./key-cursor.ts";
import {
  type DeleteState,
  defineStateStore,
  type GetState,
  type KeyPage,
  type ListKeys,
  type SetState,
  type StateEntry,
  type StateOperation,
  type StateStore,
} from "./state-store.ts";

/** What has expired is absent at once, and removed this much later at most, together with its like. */
const removalSlackMs = 60_000;
/** Others may come between often, but each time one of them gets on. */
const mostAttempts = 10;

/** State in etcd. Etags are revisions, of which there is never the same again. Lives end by the clocks of the sidecars. */
export const etcdStateStore = defineStateStore({
  type: "etcd",
  capabilities: ["transactions", "keys", "ttl", "durable", "shared"],
  config: etcdSettings("outrigger/state/"),
  open: async (settings, context) => new EtcdStateStore(context.name, await openEtcd(settings, context)),
});

class EtcdStateStore implements StateStore {
  readonly #name: string;
  readonly #connection: EtcdConnection;
  readonly #batch: EtcdBatch;
  readonly #leases: EtcdLeases;

  constructor(name: string, connection: EtcdConnection) {
    this.#name = name;
    this.#connection = connection;
    this.#batch = new EtcdBatch(connection);
    this.#leases = new EtcdLeases(connection, removalSlackMs);
  }

  async get({ key }: GetState, call: CallContext): Promise<StateEntry | undefined> {
    throwIfAborted(call);
    return decodeEntry(this.#name, key, await this.#connection.within(call, this.#batch.get(this.#at(key))));
  }

  async set(set: SetState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const { key, ttlMs } = set;
    const condition = conditionOf(this.#name, set, true);
    // The value is copied before anything is waited for.
    const value = encodeEntry(set.value, endOf(ttlMs));
    const write = async (lease?: bigint): Promise<void> => {
      const at = this.#at(key);
      const put = putOp(at, value, lease);
      if (condition !== undefined && condition.revision === undefined) {
        const isThere = [hasValue(at, "GREATER", expiredUpTo(Date.now()))];
        const { succeeded } = await this.#write(key, txnOf({ compare: isThere, failure: [put] }), value.length);
        if (succeeded) throw etagMismatch(this.#name, set);
        return;
      }
      const compare = condition?.revision === undefined ? [] : [isAtRevision(at, condition.revision)];
      const { succeeded } = await this.#write(key, txnOf({ compare, success: [put] }), value.length);
      if (!succeeded) throw etagMismatch(this.#name, set);
    };
    await this.#connection.within(
      call,
      ttlMs === undefined ? write() : this.#leases.with([ttlMs], ([lease]) => write(lease)),
    );
  }

  async delete(request: DeleteState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const at = this.#at(request.key);
    const { revision } = conditionOf(this.#name, request, false) ?? {};
    const compare = revision === undefined ? [] : [isAtRevision(at, revision)];
    const work = this.#write(request.key, txnOf({ compare, success: [deleteOp(at)] }), 0);
    const { succeeded } = await this.#connection.within(call, work);
    if (!succeeded) throw etagMismatch(this.#name, request);
  }

  async keys(request: ListKeys, call: CallContext): Promise<KeyPage> {
    throwIfAborted(call);
    return this.#connection.within(call, this.#keys(request));
  }

  async transact(operations: readonly StateOperation[], call: CallContext): Promise<void> {
    throwIfAborted(call);
    if (operations.length === 0) return;
    const folded = foldOperations(this.#name, operations);
    const writes = [...folded.changes].map(([key, set]) => {
      const at = this.#at(key);
      if (set === undefined) return { write: () => deleteOp(at) };
      const value = encodeEntry(set.value, endOf(set.ttlMs));
      return { write: (lease?: bigint) => putOp(at, value, lease), lifeMs: set.ttlMs };
    });
    const lives = writes.map(({ lifeMs }) => lifeMs);
    const work = this.#leases.with(lives, (leases) =>
      this.#commit(
        folded.conditions,
        writes.map(({ write }, index) => write(leases[index])),
      ),
    );
    await this.#connection.within(call, work);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#batch.drain();
    await this.#connection[Symbol.asyncDispose]();
  }

  async #keys(request: ListKeys): Promise<KeyPage> {
    const opening = Buffer.from(this.#connection.prefix);
    const beginning = this.#at(request.prefix);
    const start = Buffer.concat([opening, pageStart(this.#name, request)]);
    const { kvs, more } = await this.#connection.range(
      // Of no bytes at all there is no key.
      rangeOf(start.length === 0 ? Buffer.of(0) : start, {
        rangeEnd: behind(beginning),
        limit: BigInt(request.limit),
        keysOnly: true,
      }),
    );
    const isOver = await this.#expired(kvs.filter(({ lease }) => lease !== 0n).map(({ key }) => key));
    const keys = kvs.flatMap(({ key }) => {
      const name = isOver.has(key) ? undefined : keyOfBytes(key.subarray(opening.length));
      return name === undefined ? [] : [name];
    });
    const last = more ? kvs.at(-1)?.key : undefined;
    return { keys, cursor: last === undefined ? undefined : cursorAt(last.subarray(opening.length)) };
  }

  /** Those of the keys under which there is only what has expired, or nothing. The server looks at the values, which stay there. */
  async #expired(keys: readonly Uint8Array[]): Promise<ReadonlySet<Uint8Array>> {
    const expired = new Set<Uint8Array>();
    const now = expiredUpTo(Date.now());
    for (let from = 0; from < keys.length; from += atOnce) {
      const asked = keys.slice(from, from + atOnce);
      const success = asked.map((key) => nested(txnOf({ compare: [hasValue(key, "GREATER", now)] })));
      const { responses } = await this.#connection.txn(txnOf({ success }), "read");
      for (const [index, key] of asked.entries()) {
        const response = responses[index]?.response;
        if (response?.$case === "responseTxn" && !response.value.succeeded) expired.add(key);
      }
    }
    return expired;
  }

  async #commit(conditions: ReadonlyMap<string, Condition>, writes: readonly RequestOp[]): Promise<void> {
    const success = nestedInGroups(writes);
    const guarded = [...conditions];
    const failure = guarded.map(([key]) => readOp(this.#at(key)));
    // Where nothing may be, an entry that has expired may still lie.
    const expired = new Map<string, bigint>();
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const compare = guarded.map(([key, { revision }]) =>
        isAtRevision(this.#at(key), revision ?? expired.get(key) ?? 0n),
      );
      const response = await this.#connection.txn(txnOf({ compare, success, failure }));
      if (response.succeeded) return;
      for (const [index, [key, { write, revision }]] of guarded.entries()) {
        const [found] = foundBy(response, index);
        const isMet =
          revision === undefined ? decodeEntry(this.#name, key, found) === undefined : found?.modRevision === revision;
        if (!isMet) throw etagMismatch(this.#name, write);
        expired.set(key, found?.modRevision ?? 0n);
      }
    }
    const message = `others wrote the keys of a transaction of state store '${this.#name}' again and again; try it later`;
    throw new RuntimeError("ABORTED", "TRANSACTION_CONTENDED", message);
  }

  #write(key: string, txn: TxnRequest, bytes: number) {
    return this.#batch.write(key, txn, bytes + key.length);
  }

  #at(key: string): Buffer {
    return Buffer.from(this.#connection.prefix + key);
  }
}

const endOf = (ttlMs: number | undefined): number | undefined => (ttlMs === undefined ? undefined : Date.now() + ttlMs);

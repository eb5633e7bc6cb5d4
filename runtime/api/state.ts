import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type {
  Concurrency,
  Consistency,
  DeleteState,
  KeyPage,
  SetState,
  StateOperation,
  StateStore,
} from "../../components/state/state-store.ts";
import { inParallel } from "./in-parallel.ts";
import { Increments } from "./increments.ts";
import { keyOfStored, storedBeginning, storedKey } from "./key-prefix.ts";
import { type Failure, partialFailure } from "./partial-failure.ts";
import { type OpenedStore, requireCapability, type StoreSet } from "./stores.ts";
import { expiryMetadata, ttlMsOf } from "./time-to-live.ts";

/** Most keys, items or operations of one request. */
export const maxStateItems = 10_000;
const writesAtOnce = 64;
const readsAtOnce = { byDefault: 10, most: 100 };
const keysOfPage = { byDefault: 100, most: 1_000 };

/** A value as it was read, under the application's key. A missing key has an empty value and an empty etag. */
export interface ReadState {
  readonly key: string;
  readonly value: Uint8Array;
  readonly etag: string;
  /** `ttlExpireTime`, when the entry will expire. */
  readonly metadata: Record<string, string>;
}

/** One key of a bulk read; `error` says why this one could not be read, empty when it was. */
export interface BulkReadState extends ReadState {
  readonly error: string;
}

/** What all writes have: an etag that is empty or absent asks for no comparison. */
export interface DeleteItem {
  readonly key: string;
  readonly etag?: string | undefined;
  readonly concurrency: Concurrency;
}

/** A value to write; `metadata.ttlInSeconds` limits its life. */
export interface SaveItem extends DeleteItem {
  readonly value: Uint8Array;
  readonly consistency: Consistency;
  readonly metadata: Readonly<Record<string, string>>;
}

/** One step of a transaction; the operations that exist are `upsert` and `delete`. */
export interface TransactionStep {
  readonly operation: string;
  readonly item: SaveItem | undefined;
}

/**
 * The state building block. Invalid input is refused before anything is applied. The bulk writes apply what they can
 * and fail with the keys that could not be written; items of one key are applied in the order given.
 */
export interface StateBlock {
  get(request: { store: string; key: string; consistency: Consistency }, call: CallContext): Promise<ReadState>;
  /** One item for each key asked for, in that order. */
  getBulk(
    request: { store: string; keys: readonly string[]; parallelism: number },
    call: CallContext,
  ): Promise<BulkReadState[]>;
  save(request: { store: string; items: readonly SaveItem[] }, call: CallContext): Promise<void>;
  delete(request: { store: string; items: readonly DeleteItem[] }, call: CallContext): Promise<void>;
  /** All steps in order, or none of them; UNIMPLEMENTED on a store without transactions. */
  transact(request: { store: string; steps: readonly TransactionStep[] }, call: CallContext): Promise<void>;
  /**
   * The application's keys, a page at a time, as `StateStore.keys` promises them; those of others who share the backend
   * never. UNIMPLEMENTED on a store that cannot list keys. `limit` 0 is 100; 1000 is the most.
   */
  keys(request: ListApplicationKeys, call: CallContext): Promise<KeyPage>;
  /**
   * Adds to a whole number in decimal, 0 when there is no such key, and resolves to the sum; its limit of life stays. What many
   * add at once all counts. INVALID_ARGUMENT when what is there, or the sum, is no whole number from -2^63 to 2^64-1.
   */
  increment(request: { store: string; key: string; delta: bigint }, call: CallContext): Promise<bigint>;
}

export interface ListApplicationKeys {
  readonly store: string;
  /** What the keys begin with, as the application calls them; empty for all. */
  readonly prefix: string;
  /** Of the page before; undefined for the first. */
  readonly cursor: string | undefined;
  readonly limit: number;
}

/** The block over the stores that are open when a call comes. */
export function createState(stores: StoreSet<StateStore>): StateBlock {
  const write = async <T extends { readonly key: string }>(
    opened: OpenedStore<StateStore>,
    items: readonly T[],
    apply: (item: T) => Promise<void>,
  ): Promise<void> => {
    const [only] = items;
    if (items.length === 1 && only !== undefined) return apply(only);
    const failures: Failure[] = [];
    await inParallel([...Map.groupBy(items, ({ key }) => key).values()], writesAtOnce, async (sameKey) => {
      for (const item of sameKey) {
        await apply(item).catch((error: unknown) => failures.push({ key: item.key, error }));
      }
    });
    if (failures.length > 0) throw partialFailure(`state store '${opened.name}'`, failures, items.length);
  };

  const increments = new Increments();

  return {
    async get({ store, key, consistency }, call) {
      const opened = stores.find(store);
      const entry = await opened.store.get({ key: stateKey(opened, key, call), consistency }, call);
      return readState(key, entry);
    },

    async getBulk({ store, keys, parallelism }, call) {
      const opened = stores.find(store);
      requireCount("keys", keys.length);
      const wanted = keys.map((key) => ({ key, stored: stateKey(opened, key, call) }));
      const limit = parallelism > 0 ? Math.min(parallelism, readsAtOnce.most) : readsAtOnce.byDefault;
      return inParallel(wanted, limit, async ({ key, stored }) => {
        call.signal.throwIfAborted();
        try {
          const entry = await opened.store.get({ key: stored, consistency: "strong" }, call);
          return { ...readState(key, entry), error: "" };
        } catch (error) {
          call.signal.throwIfAborted();
          return { ...readState(key, undefined), error: messageOf(error) };
        }
      });
    },

    async save({ store, items }, call) {
      const opened = stores.find(store);
      requireCount("states", items.length);
      const writes = items.map((item) => ({ key: item.key, set: setState(opened, item, call) }));
      await write(opened, writes, ({ set }) => opened.store.set(set, call));
    },

    async delete({ store, items }, call) {
      const opened = stores.find(store);
      requireCount("states", items.length);
      const writes = items.map((item) => ({ key: item.key, delete: deleteState(opened, item, call) }));
      await write(opened, writes, (one) => opened.store.delete(one.delete, call));
    },

    async transact({ store, steps }, call) {
      const opened = stores.find(store);
      requireCapability("state", opened, "transactions", "transactions");
      requireCount("operations", steps.length);
      const operations = steps.map((step, index) => operationOf(opened, step, index, call));
      if (operations.length > 0) await opened.store.transact?.(operations, call);
    },

    async keys({ store, prefix, cursor, limit }, call) {
      const opened = stores.find(store);
      requireCapability("state", opened, "keys", "listing of keys");
      const { appId } = call;
      const beginning = storedBeginning("state", opened, prefix, { appId, what: "prefix" });
      const most = limit > 0 ? Math.min(Math.ceil(limit), keysOfPage.most) : keysOfPage.byDefault;
      const page = await opened.store.keys?.({ prefix: beginning, cursor, limit: most }, call);
      const own = (page?.keys ?? []).flatMap((stored) => keyOfStored("state", opened, stored, appId) ?? []);
      return { keys: own, cursor: page?.cursor };
    },

    async increment({ store, key, delta }, call) {
      const opened = stores.find(store);
      return increments.add(opened.store, { key: stateKey(opened, key, call), name: key, delta }, call);
    },
  };
}

function operationOf(
  opened: OpenedStore<StateStore>,
  { operation, item }: TransactionStep,
  index: number,
  call: CallContext,
): StateOperation {
  if (operation !== "upsert" && operation !== "delete") {
    const message = `operation ${index} of the transaction is '${operation}'; there are upsert and delete`;
    throw new RuntimeError("UNIMPLEMENTED", "OPERATION_UNKNOWN", message);
  }
  if (item === undefined) {
    const message = `operation ${index} of the transaction (${operation}) has no request; it names the key`;
    throw new RuntimeError("INVALID_ARGUMENT", "OPERATION_EMPTY", message);
  }
  return operation === "upsert"
    ? { operation: "set", set: setState(opened, item, call) }
    : { operation: "delete", delete: deleteState(opened, item, call) };
}

function setState(opened: OpenedStore<StateStore>, item: SaveItem, call: CallContext): SetState {
  const ttlMs = ttlMsOf(item.metadata, item.key);
  if (ttlMs !== undefined) requireCapability("state", opened, "ttl", "limit of life (ttlInSeconds)");
  return {
    ...deleteState(opened, item, call),
    value: item.value,
    consistency: item.consistency,
    ...(ttlMs === undefined ? {} : { ttlMs }),
  };
}

function deleteState(opened: OpenedStore<StateStore>, item: DeleteItem, call: CallContext): DeleteState {
  return {
    key: stateKey(opened, item.key, call),
    concurrency: item.concurrency,
    ...(item.etag === undefined || item.etag === "" ? {} : { etag: item.etag }),
  };
}

function stateKey(opened: OpenedStore<StateStore>, key: string, { appId }: CallContext): string {
  return storedKey("state", opened, key, { appId, what: "key" });
}

function readState(key: string, entry: Awaited<ReturnType<StateStore["get"]>>): ReadState {
  if (entry === undefined) return { key, value: new Uint8Array(), etag: "", metadata: {} };
  return { key, value: entry.value, etag: entry.etag, metadata: expiryMetadata(entry.expiresAtMs) };
}

/** Throws INVALID_ARGUMENT when one request has too many. */
export function requireCount(field: string, count: number): void {
  if (count <= maxStateItems) return;
  const message = `the request has ${count} ${field}; at most ${maxStateItems} go in one`;
  throw new RuntimeError("INVALID_ARGUMENT", "TOO_MANY_ITEMS", message);
}

const messageOf = (error: unknown): string =>
  error instanceof RuntimeError ? error.message : "the store failed; see the log of the runtime";

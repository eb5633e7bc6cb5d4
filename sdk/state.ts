import {
  StateOptions_StateConcurrency as Concurrency,
  StateOptions_StateConsistency as Consistency,
  RuntimeService,
  type StateItem,
  type StateOptions,
} from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { contentOf, Value, type Writable } from "./value.ts";

/** A value as it was read. */
export interface StateEntry {
  readonly key: string;
  readonly value: Value;
  /** Names this very value; changes with every write. */
  readonly etag: string;
  /** When it will expire, if it will. */
  readonly expiresAt?: Date;
}

export interface GetState {
  readonly store: string;
  readonly key: string;
  /** Default strong. */
  readonly consistency?: "eventual" | "strong";
}

export interface DeleteItem {
  readonly key: string;
  /** Only while this is the entry's etag; otherwise the call fails with ABORTED. */
  readonly etag?: string;
}

export interface SaveItem extends DeleteItem {
  readonly value: Writable;
  /** `first-write` without an etag writes only where nothing is. Default last-write. */
  readonly concurrency?: "first-write" | "last-write";
  readonly consistency?: "eventual" | "strong";
  /** Life of the entry; default for good, which also ends an earlier limit. */
  readonly ttlSeconds?: number;
}

/** One key of a bulk read: `entry` is absent when there is none, `error` says why it could not be read. */
export interface BulkEntry {
  readonly key: string;
  readonly entry?: StateEntry;
  readonly error?: string;
}

export type StateOperation = { readonly upsert: SaveItem } | { readonly delete: DeleteItem };

interface ReadMessage {
  readonly data: Uint8Array;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Keys and values. A write whose etag is no longer current fails with ABORTED and changes nothing. */
export class StateClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Undefined when there is no such key. */
  async get({ store, key, consistency }: GetState, options?: CallOptions): Promise<StateEntry | undefined> {
    const request = { storeName: store, key, consistency: consistencyOf(consistency), metadata: {} };
    return entryOf(key, await this.#channel.unary(RuntimeService.getState, request, options));
  }

  async save({ store, ...item }: SaveItem & { readonly store: string }, options?: CallOptions): Promise<void> {
    await this.saveBulk({ store, items: [item] }, options);
  }

  async delete({ store, ...item }: DeleteItem & { readonly store: string }, options?: CallOptions): Promise<void> {
    const { key, etag } = deletedItem(item);
    const request = { storeName: store, key, etag, options: undefined, metadata: {} };
    await this.#channel.unary(RuntimeService.deleteState, request, options);
  }

  /** One result for each key, in their order. */
  async getBulk(
    request: { readonly store: string; readonly keys: readonly string[]; readonly parallelism?: number },
    options?: CallOptions,
  ): Promise<BulkEntry[]> {
    const { store, keys, parallelism = 0 } = request;
    const message = { storeName: store, keys: [...keys], parallelism, metadata: {} };
    const { items } = await this.#channel.unary(RuntimeService.getBulkState, message, options);
    return items.map((item) => {
      if (item.error !== "") return { key: item.key, error: item.error };
      const entry = entryOf(item.key, item);
      return entry === undefined ? { key: item.key } : { key: item.key, entry };
    });
  }

  /** Writes what can be written; the error of the others names them in `failedKeys`. */
  async saveBulk(
    { store, items }: { readonly store: string; readonly items: readonly SaveItem[] },
    options?: CallOptions,
  ): Promise<void> {
    await this.#channel.unary(RuntimeService.saveState, { storeName: store, states: items.map(savedItem) }, options);
  }

  /** Deletes what can be deleted; the error of the others names them in `failedKeys`. */
  async deleteBulk(
    { store, items }: { readonly store: string; readonly items: readonly DeleteItem[] },
    options?: CallOptions,
  ): Promise<void> {
    const request = { storeName: store, states: items.map(deletedItem) };
    await this.#channel.unary(RuntimeService.deleteBulkState, request, options);
  }

  /** All operations in their order, or none of them. */
  async transaction(
    { store, operations }: { readonly store: string; readonly operations: readonly StateOperation[] },
    options?: CallOptions,
  ): Promise<void> {
    const request = { storeName: store, operations: operations.map(operationOf), metadata: {} };
    await this.#channel.unary(RuntimeService.executeStateTransaction, request, options);
  }
}

function entryOf(key: string, { data, etag, metadata }: ReadMessage): StateEntry | undefined {
  if (etag === "" && data.length === 0) return undefined;
  const expires = metadata.ttlExpireTime;
  const entry = { key, value: new Value(data), etag };
  return expires === undefined ? entry : { ...entry, expiresAt: new Date(expires) };
}

function operationOf(operation: StateOperation): { operationType: string; request: StateItem } {
  return "upsert" in operation
    ? { operationType: "upsert", request: savedItem(operation.upsert) }
    : { operationType: "delete", request: deletedItem(operation.delete) };
}

function savedItem(item: SaveItem): StateItem {
  const { value, concurrency, consistency, ttlSeconds } = item;
  const options: StateOptions = {
    concurrency:
      concurrency === "first-write" ? Concurrency.CONCURRENCY_FIRST_WRITE : Concurrency.CONCURRENCY_UNSPECIFIED,
    consistency: consistencyOf(consistency),
  };
  const metadata: Record<string, string> = ttlSeconds === undefined ? {} : { ttlInSeconds: String(ttlSeconds) };
  return { ...deletedItem(item), value: contentOf(value).bytes, metadata, options };
}

function deletedItem({ key, etag }: DeleteItem): StateItem {
  const sent = etag === undefined ? undefined : { value: etag };
  return { key, value: new Uint8Array(), etag: sent, metadata: {}, options: undefined };
}

function consistencyOf(consistency: GetState["consistency"]): StateOptions["consistency"] {
  if (consistency === undefined) return Consistency.CONSISTENCY_UNSPECIFIED;
  return consistency === "eventual" ? Consistency.CONSISTENCY_EVENTUAL : Consistency.CONSISTENCY_STRONG;
}

/** What buckets and batches are in both drafts of wasi:keyvalue. */
import type { KeyStore } from "./keyvalue-store.ts";

/** A bucket, but for its listing of keys. */
export class KeyBucket {
  readonly store: KeyStore;

  constructor(store: KeyStore) {
    this.store = store;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.store.get(key))?.value;
  }

  set(key: string, value: Uint8Array): Promise<void> {
    return this.store.set(key, value);
  }

  delete(key: string): Promise<void> {
    return this.store.delete(key);
  }

  exists(key: string): Promise<boolean> {
    return this.store.exists(key);
  }
}

/** The functions of `store` that wait. */
export const waitingInStore = [
  "[method]bucket.get",
  "[method]bucket.set",
  "[method]bucket.delete",
  "[method]bucket.exists",
  "[method]bucket.list-keys",
] as const;

/** The functions of `batch`, all of which wait. */
export const waitingInBatch = ["get-many", "set-many", "delete-many"] as const;

/** The functions of `batch`, but for the one that reads. */
export const batchWrites = {
  setMany: ({ store }: KeyBucket, entries: readonly (readonly [string, Uint8Array])[]) => store.setMany(entries),
  deleteMany: ({ store }: KeyBucket, keys: readonly string[]) => store.deleteMany(keys),
};

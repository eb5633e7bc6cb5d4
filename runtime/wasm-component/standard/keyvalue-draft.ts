/** wasi:keyvalue@0.2.0-draft, as wasmCloud and Wasmtime have it. */
import type { GuestHost, ImportedInterface } from "../provider.ts";
import { batchWrites, KeyBucket, waitingInBatch, waitingInStore } from "./keyvalue-bucket.ts";
import type { StoreError } from "./keyvalue-errors.ts";
import { KeyStore, NumberedCursors } from "./keyvalue-store.ts";

const versions = ["0.2.0-draft"];
const largest = 2n ** 64n - 1n;

class Bucket extends KeyBucket {
  readonly #cursors: NumberedCursors;

  constructor(store: KeyStore, cursors: NumberedCursors) {
    super(store);
    this.#cursors = cursors;
  }

  async listKeys(cursor: bigint | undefined): Promise<{ keys: readonly string[]; cursor: bigint | undefined }> {
    const page = await this.store.keys(this.#cursors.textOf(cursor));
    return { keys: page.keys, cursor: this.#cursors.numberOf(page.cursor) };
  }
}

const store: ImportedInterface = {
  name: "wasi:keyvalue/store",
  versions,
  waiting: waitingInStore,
  make(host: GuestHost) {
    const cursors = new NumberedCursors();
    return { Bucket, open: (identifier: string) => new Bucket(new KeyStore(host, identifier), cursors) };
  },
};

const atomics: ImportedInterface = {
  name: "wasi:keyvalue/atomics",
  versions,
  waiting: ["increment"],
  make: () => ({
    async increment(bucket: Bucket, key: string, delta: bigint) {
      const sum = await bucket.store.increment(key, delta);
      if (sum >= 0n && sum <= largest) return sum;
      const val = `key '${key}' is ${sum} after the addition, which is no u64`;
      throw { tag: "other", val } satisfies StoreError;
    },
  }),
};

const batch: ImportedInterface = {
  name: "wasi:keyvalue/batch",
  versions,
  waiting: waitingInBatch,
  make: () => ({
    async getMany(bucket: Bucket, keys: readonly string[]) {
      const found = await bucket.store.getMany(keys);
      return found.map((one, index) => (one === undefined ? undefined : [keys[index], one.value]));
    },
    ...batchWrites,
  }),
};

export const keyvalueDraft: readonly ImportedInterface[] = [store, atomics, batch];

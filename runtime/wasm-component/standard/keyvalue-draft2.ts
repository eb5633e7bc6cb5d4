/** wasi:keyvalue@0.2.0-draft2, as its repository and Spin have it. */
import { RuntimeError } from "../../../components/error.ts";
import type { StateValue } from "../../plugin/uniform-api.ts";
import { payForBytes } from "../charge.ts";
import type { ImportedInterface } from "../provider.ts";
import { batchWrites, KeyBucket, waitingInBatch, waitingInStore } from "./keyvalue-bucket.ts";
import { type StoreError, storeError } from "./keyvalue-errors.ts";
import { KeyStore } from "./keyvalue-store.ts";

const versions = ["0.2.0-draft2"];
const smallest = -(2n ** 63n);
const largest = 2n ** 63n - 1n;

class Bucket extends KeyBucket {
  listKeys(cursor: string | undefined): Promise<{ keys: readonly string[]; cursor: string | undefined }> {
    return this.store.keys(cursor);
  }
}

/** A key as it was read, to be written while it is still so. */
class Cas {
  readonly store: KeyStore;
  readonly key: string;
  readonly found: StateValue | undefined;

  constructor(store: KeyStore, key: string, found: StateValue | undefined) {
    this.store = store;
    this.key = key;
    this.found = found;
  }

  static async new(bucket: Bucket, key: string): Promise<Cas> {
    return new Cas(bucket.store, key, await bucket.store.get(key));
  }

  current(): Uint8Array | undefined {
    payForBytes(this.store.host, this.found?.value.length ?? 0);
    return this.found?.value;
  }
}

const store: ImportedInterface = {
  name: "wasi:keyvalue/store",
  versions,
  waiting: waitingInStore,
  make: (host) => ({ Bucket, open: (identifier: string) => new Bucket(new KeyStore(host, identifier)) }),
};

type CasError =
  | { readonly tag: "store-error"; readonly val: StoreError }
  | { readonly tag: "cas-failed"; readonly val: Cas };

const atomics: ImportedInterface = {
  name: "wasi:keyvalue/atomics",
  versions,
  waiting: ["increment", "swap", "[static]cas.new"],
  make: (host) => ({
    Cas,

    async increment(bucket: Bucket, key: string, delta: bigint) {
      const sum = await bucket.store.increment(key, delta);
      if (sum >= smallest && sum <= largest) return sum;
      const val = `key '${key}' is ${sum} after the addition, which is no s64`;
      throw { tag: "other", val } satisfies StoreError;
    },

    async swap({ store, key, found }: Cas, value: Uint8Array) {
      payForBytes(host, key.length + value.length);
      try {
        // The etag that no key has asks for a key that is not there.
        await host.services.api.state.set(store.name, [{ key, value, etag: found?.etag ?? "" }], host.signal);
      } catch (error) {
        throw await casError(error, store, key);
      }
    },
  }),
};

/** Where somebody else was faster, with what is there now. */
async function casError(error: unknown, store: KeyStore, key: string): Promise<CasError> {
  if (!(error instanceof RuntimeError) || error.code !== "ABORTED") {
    return { tag: "store-error", val: storeError(error) };
  }
  return store.get(key).then(
    (found) => ({ tag: "cas-failed", val: new Cas(store, key, found) }),
    (val: StoreError) => ({ tag: "store-error", val }),
  );
}

const batch: ImportedInterface = {
  name: "wasi:keyvalue/batch",
  versions,
  waiting: waitingInBatch,
  make: () => ({
    async getMany(bucket: Bucket, keys: readonly string[]) {
      const found = await bucket.store.getMany(keys);
      return found.map((one, index) => [keys[index], one?.value]);
    },
    ...batchWrites,
  }),
};

export const keyvalueDraft2: readonly ImportedInterface[] = [store, atomics, batch];

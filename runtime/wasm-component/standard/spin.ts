/** What guests of Spin 2 and 3 import beside WASI: fermyon:spin@2.0.0, on the same stores as wasi:keyvalue and wasi:config. */
import type { ImportedInterface } from "../provider.ts";
import { configurationOf } from "./config.ts";
import { KeyBucket } from "./keyvalue-bucket.ts";
import type { StoreError } from "./keyvalue-errors.ts";
import { KeyStore } from "./keyvalue-store.ts";

const versions = ["2.0.0"];
/** Most keys that one list gives: there are no pages. */
const maxKeys = 10_000;

const keyValue: ImportedInterface = {
  name: "fermyon:spin/key-value",
  versions,
  waiting: [
    "[method]store.get",
    "[method]store.set",
    "[method]store.delete",
    "[method]store.exists",
    "[method]store.get-keys",
  ],
  make(host) {
    class Store extends KeyBucket {
      static open(label: string): Store {
        return new Store(new KeyStore(host, label));
      }

      async getKeys(): Promise<readonly string[]> {
        const all: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await this.store.keys(cursor);
          all.push(...page.keys);
          if (all.length > maxKeys) throw tooMany(this.store.name);
          cursor = page.cursor;
        } while (cursor !== undefined);
        return all;
      }
    }
    return { Store };
  },
};

const tooMany = (store: string): StoreError => ({
  tag: "other",
  val: `state store '${store}' has more than ${maxKeys} keys, and get-keys gives all or none; wasi:keyvalue/store lists them in pages`,
});

const variables: ImportedInterface = {
  name: "fermyon:spin/variables",
  versions,
  waiting: ["get"],
  make(host) {
    const { get } = configurationOf(host, "provider");
    return {
      async get(name: string): Promise<string> {
        const found = await get(name);
        if (found !== undefined) return found;
        const val = `variable '${name}' is not in the plugin's configuration, nor in a configuration store that it was granted`;
        throw { tag: "undefined", val };
      },
    };
  },
};

export const spinInterfaces: readonly ImportedInterface[] = [keyValue, variables];

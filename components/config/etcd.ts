import { type EtcdConnection, openEtcd } from "../clients/etcd.ts";
import { EtcdBatch } from "../clients/etcd-batch.ts";
import { deleteOp, endOf, putOp, type RequestOp, txnOf } from "../clients/etcd-requests.ts";
import { etcdSettings } from "../clients/etcd-settings.ts";
import { EtcdPrefixWatch, type KeyChange, readPrefix } from "../clients/etcd-watch.ts";
import { type CallContext, type ComponentLog, throwIfAborted } from "../component.ts";
import {
  type ConfigChange,
  type ConfigItem,
  type ConfigSelection,
  type ConfigStore,
  defineConfigStore,
} from "./config-store.ts";
import { decodeItem, encodeItem, scopePrefix } from "./etcd-item.ts";
import { deletionOf } from "./item-set.ts";
import { ConfigSubscribers } from "./subscribers.ts";

/** Well below what a server takes in one request by default: 128 operations, 1.5 MiB. */
const together = { operations: 100, bytes: 1024 ** 2 };

/** Configuration in etcd, as PREFIX/APPLICATION/GROUP/LABEL/KEY. */
export const etcdConfigStore = defineConfigStore({
  type: "etcd",
  capabilities: ["durable", "shared"],
  config: etcdSettings("outrigger/config/"),
  open: async (settings, context) => new EtcdConfigStore(context.name, await openEtcd(settings, context), context.log),
});

/** A watch that all subscribers of one scope share. */
interface Watched {
  readonly watch: Promise<EtcdPrefixWatch>;
  users: number;
}

class EtcdConfigStore implements ConfigStore {
  readonly #connection: EtcdConnection;
  readonly #batch: EtcdBatch;
  readonly #subscribers: ConfigSubscribers;
  readonly #watched = new Map<string, Watched>();
  readonly #log: ComponentLog;

  constructor(name: string, connection: EtcdConnection, log: ComponentLog) {
    this.#connection = connection;
    this.#batch = new EtcdBatch(connection);
    this.#subscribers = new ConfigSubscribers(name, log);
    this.#log = log;
  }

  async get(selection: ConfigSelection, call: CallContext): Promise<ConfigItem[]> {
    throwIfAborted(call);
    return this.#connection.within(call, this.#read(selection));
  }

  async save(request: { appId: string; items: readonly ConfigItem[] }, call: CallContext): Promise<void> {
    throwIfAborted(call);
    // Of several with one name the last remains; a request may write a key once.
    const values = new Map(
      request.items.map((item) => {
        const { key, ...scope } = item;
        return [scopePrefix(this.#connection.prefix, { ...scope, appId: request.appId }) + key, encodeItem(item)];
      }),
    );
    const puts = [...values].map(([key, value]) => ({
      operation: putOp(Buffer.from(key), value),
      bytes: key.length + value.length,
    }));
    await this.#connection.within(call, this.#write(puts));
  }

  async delete(selection: ConfigSelection, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const scope = scopePrefix(this.#connection.prefix, selection);
    const all = Buffer.from(scope);
    const deletes =
      selection.keys.length === 0
        ? [{ operation: deleteOp(all, endOf(all)), bytes: all.length }]
        : [...new Set(selection.keys)].map((key) => ({
            operation: deleteOp(Buffer.from(scope + key)),
            bytes: scope.length + key.length,
          }));
    await this.#connection.within(call, this.#write(deletes));
  }

  async subscribe(
    selection: ConfigSelection,
    listener: Parameters<ConfigStore["subscribe"]>[1],
  ): Promise<AsyncDisposable> {
    const scope = scopePrefix(this.#connection.prefix, selection);
    const watched = this.#watched.get(scope) ?? this.#watch(scope, selection);
    watched.users++;
    try {
      await watched.watch;
    } catch (error) {
      await this.#leave(scope, watched);
      throw error;
    }
    const subscription = this.#subscribers.add(selection, listener);
    let isOver = false;
    return {
      [Symbol.asyncDispose]: async () => {
        if (isOver) return;
        isOver = true;
        await subscription[Symbol.asyncDispose]();
        await this.#leave(scope, watched);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const watches = await Promise.allSettled([...this.#watched.values()].map(({ watch }) => watch));
    for (const opened of watches) if (opened.status === "fulfilled") await opened.value[Symbol.asyncDispose]();
    await this.#batch.drain();
    await this.#connection[Symbol.asyncDispose]();
    this.#subscribers.close();
  }

  async #read(selection: ConfigSelection): Promise<ConfigItem[]> {
    const scope = scopePrefix(this.#connection.prefix, selection);
    if (selection.keys.length === 0) {
      const prefix = Buffer.from(scope);
      const { entries } = await readPrefix(this.#connection, prefix);
      return entries.map(({ key, value }) => decodeItem(selection, keyBehind(prefix, key), value));
    }
    const keys = [...new Set(selection.keys)];
    const found = await Promise.all(keys.map((key) => this.#batch.get(Buffer.from(scope + key))));
    return keys.flatMap((key, index) => {
      const kept = found[index];
      return kept === undefined ? [] : [decodeItem(selection, key, kept.value)];
    });
  }

  /** Writes what fits into one request at once, and one such after the other. */
  async #write(writes: readonly { readonly operation: RequestOp; readonly bytes: number }[]): Promise<void> {
    let now: RequestOp[] = [];
    let nowBytes = 0;
    for (const { operation, bytes } of writes) {
      if (now.length >= together.operations || (now.length > 0 && nowBytes + bytes > together.bytes)) {
        await this.#connection.txn(txnOf({ success: now }));
        [now, nowBytes] = [[], 0];
      }
      now.push(operation);
      nowBytes += bytes;
    }
    if (now.length > 0) await this.#connection.txn(txnOf({ success: now }));
  }

  #watch(scope: string, selection: ConfigSelection): Watched {
    const prefix = Buffer.from(scope);
    const changed = (changes: readonly KeyChange[]): void => {
      this.#subscribers.tell(
        selection.appId,
        changes.map((change) => changeOf(selection, keyBehind(prefix, change.key), change)),
      );
    };
    const watch = EtcdPrefixWatch.open({ connection: this.#connection, prefix, log: this.#log, changed });
    const watched = { watch, users: 0 };
    this.#watched.set(scope, watched);
    return watched;
  }

  async #leave(scope: string, watched: Watched): Promise<void> {
    if (--watched.users > 0) return;
    if (this.#watched.get(scope) === watched) this.#watched.delete(scope);
    const [opened] = await Promise.allSettled([watched.watch]);
    if (opened.status === "fulfilled") await opened.value[Symbol.asyncDispose]();
  }
}

function changeOf(selection: ConfigSelection, key: string, { value, before }: KeyChange): ConfigChange {
  if (value !== undefined) return { ...decodeItem(selection, key, value), deleted: false };
  return deletionOf(decodeItem(selection, key, before ?? new Uint8Array(0)));
}

const keyBehind = (prefix: Buffer, key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset + prefix.length, key.byteLength - prefix.length).toString();

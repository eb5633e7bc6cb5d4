import type { CallContext } from "../../components/component.ts";
import type { ConfigChange, ConfigItem, ConfigSelection, ConfigStore } from "../../components/config/config-store.ts";
import { RuntimeError } from "../../components/error.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import { followStore } from "./follow-store.ts";
import type { StoreSet } from "./stores.ts";

/** Which items of which store; an empty `appId` means the application that this runtime belongs to. */
export interface ConfigRequest extends ConfigSelection {
  readonly store: string;
}

/** Changes of one store, as one subscriber is told them. */
export interface ConfigUpdate {
  readonly store: string;
  readonly appId: string;
  readonly changes: readonly ConfigChange[];
}

/**
 * What one subscriber follows: its selections, told in one sequence that ends when the feed is disposed.
 * Fails with RESOURCE_EXHAUSTED when the subscriber does not read and too much has gathered, with UNAVAILABLE when a
 * store can tell no more.
 */
export interface ConfigFeed extends AsyncIterable<ConfigUpdate>, AsyncDisposable {
  /** Resolves once changes from now on will be told. When the store is replaced, the items of the new one are told as changes. */
  follow(request: ConfigRequest): Promise<void>;
  /** Ends the iteration after what has been told. */
  end(): void;
  /** Ends the iteration with an error. */
  fail(error: Error): void;
}

/** The configuration building block. */
export interface ConfigBlock {
  get(request: ConfigRequest, call: CallContext): Promise<ConfigItem[]>;
  save(request: { store: string; appId: string; items: readonly ConfigItem[] }, call: CallContext): Promise<void>;
  /** The keys must be named: an empty list is refused rather than taken for all of them. */
  delete(request: ConfigRequest, call: CallContext): Promise<void>;
  /** Opens a feed of one subscriber; ending it ends no other. */
  feed(call: CallContext): ConfigFeed;
}

/** Most bytes of changes that wait for a subscriber. */
const maxWaitingBytes = 64 * 1024 ** 2;
/** Bytes that a change takes beside its texts. */
const changeBytes = 512;
/** Most selections of one feed. */
const maxSelections = 1_000;

/** The block over the stores that are open when a call comes. */
export function createConfig(stores: StoreSet<ConfigStore>): ConfigBlock {
  return {
    async get({ store, ...selection }, call) {
      return stores.find(store).store.get(ofApplication(selection, call), call);
    },

    async save({ store, appId, items }, call) {
      const opened = stores.find(store);
      if (items.some(({ key }) => key === "")) throw keyEmpty();
      await opened.store.save(ofApplication({ appId, items }, call), call);
    },

    async delete({ store, ...selection }, call) {
      const opened = stores.find(store);
      if (selection.keys.length === 0) {
        const message = `nothing says what to delete from configuration store '${store}'; name the keys`;
        throw new RuntimeError("INVALID_ARGUMENT", "KEYS_MISSING", message);
      }
      if (selection.keys.includes("")) throw keyEmpty();
      await opened.store.delete(ofApplication(selection, call), call);
    },

    feed(call) {
      const queue = new BoundedQueue<ConfigUpdate>(maxWaitingBytes);
      const subscriptions = new AsyncDisposableStack();
      let selections = 0;
      return {
        async follow({ store, ...asked }) {
          stores.find(store);
          if (++selections > maxSelections) throw tooMany();
          const selection = ofApplication(asked, call);
          const { appId } = selection;
          const changed = (changes: readonly ConfigChange[]): void => {
            if (changes.length === 0) return;
            if (!queue.push({ store, appId, changes }, bytesOf(changes))) queue.fail(tooSlow(store));
          };
          const subscription = await followStore({
            stores,
            name: store,
            failed: (error) =>
              call.log.warn({ err: error, store }, "a configuration store cannot be followed anew; it is tried again"),
            async begin(opened, isMoved) {
              const watcher = { changed, lost: (cause: Error) => queue.fail(lost(store, cause)) };
              const followed = await opened.store.subscribe(selection, watcher);
              if (!isMoved) return followed;
              const items = await opened.store.get(selection, call);
              changed(items.map((item) => ({ ...item, deleted: false })));
              return followed;
            },
          });
          if (subscriptions.disposed) await subscription[Symbol.asyncDispose]();
          else subscriptions.use(subscription);
        },
        end: () => queue.end(),
        fail: (error) => queue.fail(error),
        [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator](),
        async [Symbol.asyncDispose]() {
          queue.end();
          await subscriptions.disposeAsync();
        },
      };
    },
  };
}

const bytesOf = (changes: readonly ConfigChange[]): number =>
  changes.reduce((sum, { key, content }) => sum + changeBytes + key.length + content.length, 0);

function ofApplication<T extends { readonly appId: string }>(request: T, { appId }: CallContext): T {
  return request.appId === "" ? { ...request, appId } : request;
}

function keyEmpty(): RuntimeError {
  return new RuntimeError("INVALID_ARGUMENT", "KEY_EMPTY", "a key of the configuration is empty; give one");
}

function tooSlow(store: string): RuntimeError {
  const message = `the subscriber to configuration store '${store}' does not read: ${maxWaitingBytes / 1024 ** 2} MiB of changes wait; read faster, or subscribe to fewer keys`;
  return new RuntimeError("RESOURCE_EXHAUSTED", "CONFIG_SUBSCRIBER_TOO_SLOW", message);
}

function tooMany(): RuntimeError {
  const message = `one subscriber follows at most ${maxSelections} selections; name several keys in each`;
  return new RuntimeError("RESOURCE_EXHAUSTED", "CONFIG_SELECTIONS_TOO_MANY", message);
}

function lost(store: string, cause: Error): RuntimeError {
  if (cause instanceof RuntimeError) return cause;
  const message = `configuration store '${store}' can tell no more changes (${cause.message}); subscribe again`;
  return new RuntimeError("UNAVAILABLE", "CONFIG_STORE_LOST", message, { cause });
}

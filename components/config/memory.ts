import { z } from "zod";
import { type CallContext, type ComponentLog, throwIfAborted } from "../component.ts";
import { type ConfigItem, type ConfigSelection, type ConfigStore, defineConfigStore } from "./config-store.ts";
import { checkRoom, deletionOf, ItemSet } from "./item-set.ts";
import { ConfigSubscribers } from "./subscribers.ts";

/** Configuration in the process's own memory, for tests and for applications that set it themselves. */
export const memoryConfigStore = defineConfigStore({
  type: "memory",
  capabilities: [],
  config: z.strictObject({
    maxBytes: z
      .int()
      .positive()
      .default(64 * 1024 ** 2)
      .describe("Most bytes of all items together; default 64 MiB. Items over it are refused"),
  }),
  open: async ({ maxBytes }, { name, log }) => new MemoryConfigStore(name, maxBytes, log),
});

class MemoryConfigStore implements ConfigStore {
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #apps = new Map<string, ItemSet>();
  readonly #subscribers: ConfigSubscribers;

  constructor(name: string, maxBytes: number, log: ComponentLog) {
    this.#name = name;
    this.#maxBytes = maxBytes;
    this.#subscribers = new ConfigSubscribers(name, log);
  }

  async get(selection: ConfigSelection, call: CallContext): Promise<ConfigItem[]> {
    throwIfAborted(call);
    return this.#itemsOf(selection.appId).select(selection);
  }

  async save({ appId, items }: { appId: string; items: readonly ConfigItem[] }, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const saved = this.#itemsOf(appId).with(items);
    checkRoom(this.#name, new Map([...this.#apps, [appId, saved]]).values(), this.#maxBytes);
    this.#apps.set(appId, saved);
    this.#subscribers.tell(appId, ItemSet.empty.with(items).changesSince(ItemSet.empty));
  }

  async delete(selection: ConfigSelection, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const gone = this.#itemsOf(selection.appId).select(selection);
    this.#apps.set(selection.appId, this.#itemsOf(selection.appId).without(gone));
    this.#subscribers.tell(selection.appId, gone.map(deletionOf));
  }

  async subscribe(
    selection: ConfigSelection,
    listener: Parameters<ConfigStore["subscribe"]>[1],
  ): Promise<AsyncDisposable> {
    return this.#subscribers.add(selection, listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscribers.close();
    this.#apps.clear();
  }

  #itemsOf(appId: string): ItemSet {
    return this.#apps.get(appId) ?? ItemSet.empty;
  }
}

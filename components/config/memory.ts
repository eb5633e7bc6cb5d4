import { z } from "zod";
import type { CallContext } from "../component.ts";
import {
  type ConfigChange,
  type ConfigItem,
  type ConfigSelection,
  type ConfigStore,
  defineConfigStore,
} from "./config-store.ts";
import { ConfigSubscribers } from "./subscribers.ts";

/** Configuration in the process's own memory, for tests and for applications that set it themselves. */
export const memoryConfigStore = defineConfigStore({
  type: "memory",
  config: z.strictObject({}),
  open: async () => new MemoryConfigStore(),
});

class MemoryConfigStore implements ConfigStore {
  readonly #apps = new Map<string, Map<string, ConfigItem>>();
  readonly #subscribers = new ConfigSubscribers();

  async get(selection: ConfigSelection, { signal }: CallContext): Promise<ConfigItem[]> {
    signal.throwIfAborted();
    return this.#select(selection);
  }

  async save(
    { appId, items }: { appId: string; items: readonly ConfigItem[] },
    { signal }: CallContext,
  ): Promise<void> {
    signal.throwIfAborted();
    const app = this.#apps.get(appId) ?? new Map<string, ConfigItem>();
    this.#apps.set(appId, app);
    for (const item of items) app.set(identity(item), item);
    this.#subscribers.tell(
      appId,
      items.map((item) => ({ ...item, deleted: false })),
    );
  }

  async delete(selection: ConfigSelection, { signal }: CallContext): Promise<void> {
    signal.throwIfAborted();
    const gone = this.#select(selection);
    for (const item of gone) this.#apps.get(selection.appId)?.delete(identity(item));
    this.#subscribers.tell(selection.appId, gone.map(asDeleted));
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

  #select({ appId, group, label, keys }: ConfigSelection): ConfigItem[] {
    const items = [...(this.#apps.get(appId)?.values() ?? [])];
    const wanted = keys.length === 0 ? undefined : new Set(keys);
    return items.filter((item) => item.group === group && item.label === label && (wanted?.has(item.key) ?? true));
  }
}

const identity = ({ group, label, key }: ConfigItem): string => JSON.stringify([group, label, key]);
const asDeleted = (item: ConfigItem): ConfigChange => ({ ...item, content: "", deleted: true });

import { z } from "zod";
import { openRedis, type RedisConnection } from "../clients/redis.ts";
import { redisSettings } from "../clients/redis-settings.ts";
import { type CallContext, type ComponentLog, type OpenContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { type ConfigItem, type ConfigSelection, type ConfigStore, defineConfigStore } from "./config-store.ts";
import { deleteItems, hashKey, readAll, saveItems, streamKey } from "./redis-scripts.ts";
import { AppWatch } from "./redis-watch.ts";
import { ConfigSubscribers } from "./subscribers.ts";

const settings = redisSettings.safeExtend({
  prefix: z
    .string()
    .default("config")
    .describe("Stands before the keys of all items and of the streams of changes; default config"),
});

const texts = z.record(z.string(), z.string());
const storedItem = z.object({ content: z.string(), tags: texts, metadata: texts });

/**
 * Configuration as hashes of Redis, each change noted in a stream, so that all who share it are told. What is changed by hand is told
 * with the next change of its key, or when the connection was lost and is back.
 */
export const redisConfigStore = defineConfigStore({
  type: "redis",
  capabilities: ["durable", "shared"],
  config: settings,
  open: async (config, context) => new RedisConfigStore(config.prefix, context, await openRedis(config, context)),
});

class RedisConfigStore implements ConfigStore {
  readonly #name: string;
  readonly #prefix: string;
  readonly #log: ComponentLog;
  readonly #connection: RedisConnection;
  readonly #subscribers: ConfigSubscribers;
  /** By application. */
  readonly #watches = new Map<string, AppWatch>();

  constructor(prefix: string, { name, log }: OpenContext, connection: RedisConnection) {
    this.#name = name;
    this.#prefix = prefix;
    this.#log = log;
    this.#connection = connection;
    this.#subscribers = new ConfigSubscribers(name, log);
  }

  async get(selection: ConfigSelection, call: CallContext): Promise<ConfigItem[]> {
    throwIfAborted(call);
    return this.#read(selection);
  }

  async save({ appId, items }: { appId: string; items: readonly ConfigItem[] }, call: CallContext): Promise<void> {
    throwIfAborted(call);
    if (items.length === 0) return;
    const keys = items.map(({ group, label }) => hashKey(this.#prefix, { appId, group, label }));
    const values = items.flatMap(({ group, label, key, content, tags, metadata }) => [
      ...[group, label, key],
      JSON.stringify({ content, tags, metadata }),
    ]);
    await this.#connection.run(saveItems, [streamKey(this.#prefix, appId), ...keys], values);
  }

  async delete(selection: ConfigSelection, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const { appId, group, label, keys } = selection;
    const places = [streamKey(this.#prefix, appId), hashKey(this.#prefix, selection)];
    await this.#connection.run(deleteItems, places, [group, label, ...keys]);
  }

  async subscribe(
    selection: ConfigSelection,
    listener: Parameters<ConfigStore["subscribe"]>[1],
  ): Promise<AsyncDisposable> {
    const { appId } = selection;
    const watch = this.#watches.get(appId) ?? this.#watch(appId);
    try {
      await watch.add(selection);
    } catch (error) {
      await this.#endIfIdle(appId, watch);
      throw error;
    }
    const subscription = this.#subscribers.add(selection, listener);
    let hasEnded = false;
    return {
      [Symbol.asyncDispose]: async () => {
        if (hasEnded) return;
        hasEnded = true;
        await subscription[Symbol.asyncDispose]();
        watch.remove(selection);
        await this.#endIfIdle(appId, watch);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const watches = [...this.#watches.values()];
    this.#watches.clear();
    await Promise.all(watches.map((watch) => watch[Symbol.asyncDispose]()));
    this.#subscribers.close();
    await this.#connection[Symbol.asyncDispose]();
  }

  #watch(appId: string): AppWatch {
    const watch = new AppWatch({
      connection: this.#connection,
      log: this.#log,
      appId,
      stream: streamKey(this.#prefix, appId),
      read: (selection) => this.#read(selection),
      changed: (changes) => this.#subscribers.tell(appId, changes),
    });
    this.#watches.set(appId, watch);
    return watch;
  }

  async #endIfIdle(appId: string, watch: AppWatch): Promise<void> {
    if (!watch.isIdle || this.#watches.get(appId) !== watch) return;
    this.#watches.delete(appId);
    await watch[Symbol.asyncDispose]();
  }

  async #read(selection: ConfigSelection): Promise<ConfigItem[]> {
    const { group, label } = selection;
    const hash = hashKey(this.#prefix, selection);
    const keys = [...new Set(selection.keys)];
    const found =
      keys.length === 0
        ? pairsOf(await this.#connection.run(readAll, [hash], []))
        : pairsWith(keys, await this.#connection.command("hmget", hash, ...keys));
    return found.map(([key, json]) => ({ key, group, label, ...this.#parse(key, json) }));
  }

  #parse(key: string, json: string): z.output<typeof storedItem> {
    try {
      return storedItem.parse(JSON.parse(json));
    } catch {
      const message = `the item '${key}' in the Redis of '${this.#name}' is not what was saved; save or delete it`;
      throw new RuntimeError("DATA_LOSS", "CONFIG_ITEM_UNREADABLE", message);
    }
  }
}

/** A flat list of fields and values. */
function pairsOf(flat: readonly unknown[]): [key: string, json: string][] {
  return flat.flatMap((key, index) => (index % 2 === 0 ? [[String(key), String(flat[index + 1])]] : []));
}

function pairsWith(keys: readonly string[], reply: unknown): [key: string, json: string][] {
  const values: unknown[] = Array.isArray(reply) ? reply : [];
  return keys.flatMap((key, index) => (Buffer.isBuffer(values[index]) ? [[key, String(values[index])]] : []));
}

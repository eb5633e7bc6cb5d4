import { setTimeout as delay } from "node:timers/promises";
import { backOffMs } from "../clients/back-off.ts";
import type { RedisConnection } from "../clients/redis.ts";
import { entriesRead, type StreamEntry } from "../clients/redis-stream.ts";
import { RedisTroubles } from "../clients/redis-troubles.ts";
import type { ComponentLog } from "../component.ts";
import type { ConfigChange, ConfigItem, ConfigSelection } from "./config-store.ts";
import { ItemSet } from "./item-set.ts";
import { lastChange } from "./redis-scripts.ts";

export interface AppWatchOptions {
  readonly connection: RedisConnection;
  readonly log: ComponentLog;
  readonly appId: string;
  /** The key of the application's stream of changes. */
  readonly stream: string;
  /** The items as they are now; with no keys, all of them. */
  read(selection: ConfigSelection): Promise<readonly ConfigItem[]>;
  changed(changes: readonly ConfigChange[]): void;
}

/** Changes that are looked at together. */
const together = 500;

interface Followed {
  readonly group: string;
  readonly label: string;
  items: ItemSet;
  followers: number;
}

/**
 * Follows the changes of one application on a connection of its own. What it tells is the difference of what it read to what it
 * had read before, so that a gap of any length, a change that was missed or a server that lost some is told as well.
 */
export class AppWatch implements AsyncDisposable {
  readonly #options: AppWatchOptions;
  readonly #reader: RedisConnection;
  readonly #ending = new AbortController();
  /** By group and label. */
  readonly #followed = new Map<string, Followed>();
  readonly #loop: Promise<void>;
  /** The reads of items, one after the other: a later one must not be told before an earlier. */
  #reading: Promise<void> = Promise.resolve();
  readonly #troubles: RedisTroubles;
  #last = "0-0";

  constructor(options: AppWatchOptions) {
    this.#options = options;
    this.#reader = options.connection.another();
    this.#troubles = new RedisTroubles(options.log);
    this.#loop = this.#follow();
  }

  get isIdle(): boolean {
    return this.#followed.size === 0;
  }

  /** Resolves once changes to these items from now on are told. */
  async add({ group, label }: Pick<ConfigSelection, "group" | "label">): Promise<void> {
    const id = JSON.stringify([group, label]);
    const known = this.#followed.get(id);
    if (known !== undefined) {
      known.followers++;
      return this.#inTurn(async () => undefined);
    }
    const followed: Followed = { group, label, items: ItemSet.empty, followers: 1 };
    this.#followed.set(id, followed);
    try {
      await this.#inTurn(async () => {
        followed.items = ItemSet.empty.with(await this.#itemsOf(followed, []));
      });
    } catch (error) {
      this.remove(followed);
      throw error;
    }
  }

  remove({ group, label }: Pick<ConfigSelection, "group" | "label">): void {
    const id = JSON.stringify([group, label]);
    const followed = this.#followed.get(id);
    if (followed !== undefined && --followed.followers === 0) this.#followed.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#reader.disconnect();
    await this.#loop;
    await this.#reading;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ending;
    let isComplete = false;
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (!isComplete) await this.#inTurn(() => this.#compareAll());
        isComplete = await this.#readChanges();
        this.#troubles.succeeded();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        isComplete = false;
        const { stream } = this.#options;
        this.#troubles.failed(error, { stream }, "changes of configuration cannot be read and are tried again");
        await delay(backOffMs(++failures), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Resolves to false when changes have been missed. */
  async #readChanges(): Promise<boolean> {
    const { stream } = this.#options;
    const block = String(this.#reader.blockMs);
    const reply = await this.#reader.command(
      "xread",
      ...["COUNT", String(together), "BLOCK", block, "STREAMS", stream, this.#last],
    );
    const entries = entriesRead(reply);
    for (const [id, entry] of entries) {
      if (entry?.fields.get("after")?.toString() !== this.#last) return false;
      this.#last = id;
    }
    await this.#inTurn(() => this.#tellOf([...entries.values()].filter((entry) => entry !== undefined)));
    return true;
  }

  async #tellOf(entries: readonly StreamEntry[]): Promise<void> {
    const keysById = new Map<string, Set<string>>();
    for (const { fields } of entries) {
      const textOf = (name: string): string => fields.get(name)?.toString() ?? "";
      const id = JSON.stringify([textOf("group"), textOf("label")]);
      const keys = keysById.get(id) ?? new Set();
      keysById.set(id, keys.add(textOf("key")));
    }
    for (const [id, names] of keysById) {
      const followed = this.#followed.get(id);
      if (followed === undefined) continue;
      const keys = [...names];
      const { group, label } = followed;
      const before = followed.items.select({ appId: this.#options.appId, group, label, keys });
      const now = await this.#itemsOf(followed, keys);
      this.#tell(followed, followed.items.without(before).with(now));
    }
  }

  /** Reads everything that is followed, from a place in the stream that is not later. */
  async #compareAll(): Promise<void> {
    const { connection, stream } = this.#options;
    const [last] = await connection.run(lastChange, [stream], []);
    for (const followed of this.#followed.values()) {
      this.#tell(followed, ItemSet.empty.with(await this.#itemsOf(followed, [])));
    }
    this.#last = String(last);
  }

  #tell(followed: Followed, items: ItemSet): void {
    const changes = items.changesSince(followed.items);
    followed.items = items;
    if (changes.length > 0) this.#options.changed(changes);
  }

  #itemsOf({ group, label }: Followed, keys: readonly string[]): Promise<readonly ConfigItem[]> {
    return this.#options.read({ appId: this.#options.appId, group, label, keys });
  }

  #inTurn(read: () => Promise<void>): Promise<void> {
    const done = this.#reading.then(read);
    this.#reading = done.catch(() => undefined);
    return done;
  }
}

import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import type { CallContext, ComponentLog } from "../component.ts";
import { RuntimeError } from "../error.ts";
import {
  type ConfigChange,
  type ConfigItem,
  type ConfigSelection,
  type ConfigStore,
  defineConfigStore,
} from "./config-store.ts";
import { formatItems, parseItems } from "./items-file.ts";
import { ConfigSubscribers } from "./subscribers.ts";

/** Quiet time after a change before the files are read. */
const settleMs = 50;
/** A look without an event, for file systems that send none. */
const rescanMs = 5_000;

/** Configuration in a directory of YAML files, one an application, which people and other programs edit too. */
export const fileConfigStore = defineConfigStore({
  type: "file",
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .describe(
        "The directory, relative to data.directory; APPLICATION.yaml in it is a list of {key, content, group, label, tags, metadata}",
      ),
  }),
  open: async ({ path }, { dataDirectory, log }) => {
    const directory = resolve(dataDirectory, path);
    await mkdir(directory, { recursive: true });
    const store = new FileConfigStore(directory, log);
    await store.reread();
    return store;
  },
});

type Items = ReadonlyMap<string, ConfigItem>;

class FileConfigStore implements ConfigStore {
  readonly #directory: string;
  readonly #log: ComponentLog;
  readonly #subscribers = new ConfigSubscribers();
  readonly #watcher: FSWatcher;
  readonly #rescan: NodeJS.Timeout;
  #settle: NodeJS.Timeout | undefined;
  #apps: ReadonlyMap<string, Items> = new Map();
  readonly #refused = new Map<string, string>();
  /** Reads and writes take turns, so that none works on what another is changing. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(directory: string, log: ComponentLog) {
    this.#directory = directory;
    this.#log = log;
    const changed = (): void => {
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => void this.#inTurn(() => this.reread()).catch(() => undefined), settleMs).unref();
    };
    this.#watcher = watch(directory, { persistent: false }, changed);
    this.#watcher.on("error", (error) =>
      this.#log.warn({ err: error, directory }, "the directory cannot be watched; it is looked at now and then"),
    );
    this.#rescan = setInterval(changed, rescanMs).unref();
  }

  async get(selection: ConfigSelection, { signal }: CallContext): Promise<ConfigItem[]> {
    signal.throwIfAborted();
    return this.#select(selection);
  }

  async save(
    { appId, items }: { appId: string; items: readonly ConfigItem[] },
    { signal }: CallContext,
  ): Promise<void> {
    await this.#inTurn(async () => {
      signal.throwIfAborted();
      await this.reread();
      const next = new Map(this.#apps.get(appId));
      for (const item of items) next.set(identity(item), item);
      await this.#write(appId, next);
    });
  }

  async delete(selection: ConfigSelection, { signal }: CallContext): Promise<void> {
    await this.#inTurn(async () => {
      signal.throwIfAborted();
      await this.reread();
      const next = new Map(this.#apps.get(selection.appId));
      for (const item of this.#select(selection)) next.delete(identity(item));
      await this.#write(selection.appId, next);
    });
  }

  async subscribe(
    selection: ConfigSelection,
    listener: Parameters<ConfigStore["subscribe"]>[1],
  ): Promise<AsyncDisposable> {
    return this.#subscribers.add(selection, listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher.close();
    clearInterval(this.#rescan);
    clearTimeout(this.#settle);
    this.#subscribers.close();
    await this.#turn.catch(() => undefined);
  }

  /** Takes over what the files say now; a file that cannot be read as items keeps what it said before. */
  async reread(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith(".yaml") && !name.startsWith("."));
    const apps = new Map<string, Items>();
    for (const name of names) {
      const appId = decodeURIComponent(name.slice(0, -".yaml".length));
      const items = (await this.#read(name)) ?? this.#apps.get(appId);
      if (items !== undefined) apps.set(appId, items);
    }
    this.#replace(apps);
  }

  async #read(name: string): Promise<Items | undefined> {
    try {
      const text = await readFile(join(this.#directory, name), "utf8");
      const items = parseItems(text);
      this.#refused.delete(name);
      return new Map(items.map((item) => [identity(item), item]));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (this.#refused.get(name) !== message) {
        this.#log.error(
          { file: join(this.#directory, name), reason: message },
          "a configuration file is refused; what it said before stays",
        );
      }
      this.#refused.set(name, message);
      return undefined;
    }
  }

  async #write(appId: string, items: Items): Promise<void> {
    const name = fileName(appId);
    const path = join(this.#directory, name);
    if (this.#refused.has(name)) {
      throw new RuntimeError(
        "FAILED_PRECONDITION",
        "FILE_MALFORMED",
        `${path} is not a list of items, and is not overwritten; correct it first`,
      );
    }
    // A link keeps its place: what it leads to is replaced.
    const target = await realpath(path).catch(() => path);
    const temporary = join(this.#directory, `.${name}.new`);
    try {
      await writeFile(temporary, formatItems([...items.values()]), { flush: true });
      await rename(temporary, target);
    } catch (cause) {
      await rm(temporary, { force: true });
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new RuntimeError("UNAVAILABLE", "FILE_NOT_WRITTEN", `${path} cannot be written: ${why}`, { cause });
    }
    this.#replace(new Map([...this.#apps, [appId, items]]));
  }

  #replace(next: ReadonlyMap<string, Items>): void {
    const before = this.#apps;
    this.#apps = next;
    for (const appId of new Set([...before.keys(), ...next.keys()])) {
      const changes = [...differences(before.get(appId) ?? new Map(), next.get(appId) ?? new Map())];
      if (changes.length > 0) this.#subscribers.tell(appId, changes);
    }
  }

  #select({ appId, group, label, keys }: ConfigSelection): ConfigItem[] {
    const items = [...(this.#apps.get(appId)?.values() ?? [])];
    return items.filter(
      (item) => item.group === group && item.label === label && (keys.length === 0 || keys.includes(item.key)),
    );
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result;
    return result;
  }
}

const identity = ({ group, label, key }: ConfigItem): string => JSON.stringify([group, label, key]);

/** The name of an application's file: safe for any file system, and never hidden. */
const fileName = (appId: string): string => `${encodeURIComponent(appId).replace(/^\./, "%2E")}.yaml`;

function* differences(before: Items, next: Items): Generator<ConfigChange> {
  for (const [id, item] of next) {
    if (JSON.stringify(item) !== JSON.stringify(before.get(id))) yield { ...item, deleted: false };
  }
  for (const [id, item] of before) if (!next.has(id)) yield { ...item, content: "", deleted: true };
}

import { resolve } from "node:path";
import { z } from "zod";
import type { CallContext, ComponentLog } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";
import { type ConfigItem, type ConfigSelection, type ConfigStore, defineConfigStore } from "./config-store.ts";
import { checkRoom, ItemSet } from "./item-set.ts";
import { parseItems, replaceItems } from "./items-file.ts";
import { type FoundFile, ItemsFolder, readText, replaceText } from "./items-folder.ts";
import { PathWatch } from "./path-watch.ts";
import { ConfigSubscribers } from "./subscribers.ts";

/** How long files must have stayed as they are before a change made by others is read: editors write in several steps. */
const settleMs = 100;

/** Configuration in YAML files, which people and other programs edit too. */
export const fileConfigStore = defineConfigStore({
  type: "file",
  capabilities: ["durable", "shared"],
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .describe(
        "A folder, in which APPLICATION.yaml is a list of {key, content, group, label, tags, metadata}; or a file ending in .yaml with such a list under each application id. Relative to data.directory",
      ),
    maxBytes: z
      .int()
      .positive()
      .default(64 * 1024 ** 2)
      .describe("Most bytes of all items together; default 64 MiB. Items saved over it are refused"),
  }),
  async open({ path, maxBytes }, { name, dataDirectory, log }) {
    const folder = await ItemsFolder.open(resolve(dataDirectory, path));
    return FileConfigStore.open({ name, folder, maxBytes, log });
  },
});

interface FileStoreOptions {
  readonly name: string;
  readonly folder: ItemsFolder;
  readonly maxBytes: number;
  readonly log: ComponentLog;
}

/** What a file said when it was last understood, and why it is not understood now. */
interface ReadFile {
  readonly fingerprint: string;
  readonly apps: ReadonlyMap<string, readonly ConfigItem[]>;
  readonly fault?: string;
}

class FileConfigStore implements ConfigStore {
  readonly #name: string;
  readonly #folder: ItemsFolder;
  readonly #maxBytes: number;
  readonly #log: ComponentLog;
  readonly #subscribers: ConfigSubscribers;
  readonly #watch: PathWatch;
  #files: ReadonlyMap<string, ReadFile> = new Map();
  #apps: ReadonlyMap<string, ItemSet> = new Map();
  #settling: NodeJS.Timeout | undefined;
  /** What the last look saw; a second one that sees the same has found it settled. */
  #seen = "";
  /** Reads and writes take turns, so that none works on what another is changing. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Rejects when some of what is there cannot be understood. */
  static async open(options: FileStoreOptions): Promise<FileConfigStore> {
    const store = new FileConfigStore(options);
    try {
      await store.#readAll();
      for (const [path, { fault }] of store.#files) if (fault !== undefined) throw malformed(path, fault);
      return store;
    } catch (error) {
      await store[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor({ name, folder, maxBytes, log }: FileStoreOptions) {
    this.#name = name;
    this.#folder = folder;
    this.#maxBytes = maxBytes;
    this.#log = log;
    this.#subscribers = new ConfigSubscribers(name, log);
    this.#watch = new PathWatch(folder.watched, () => this.#lookSoon());
  }

  async get(selection: ConfigSelection, { signal }: CallContext): Promise<ConfigItem[]> {
    signal.throwIfAborted();
    return this.#itemsOf(selection.appId).select(selection);
  }

  save(request: { appId: string; items: readonly ConfigItem[] }, call: CallContext): Promise<void> {
    return this.#change(request.appId, (before) => before.with(request.items), call);
  }

  delete(selection: ConfigSelection, call: CallContext): Promise<void> {
    return this.#change(selection.appId, (before) => before.without(before.select(selection)), call);
  }

  async subscribe(
    selection: ConfigSelection,
    listener: Parameters<ConfigStore["subscribe"]>[1],
  ): Promise<AsyncDisposable> {
    return this.#subscribers.add(selection, listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    clearTimeout(this.#settling);
    await this.#turn;
    this.#subscribers.close();
  }

  #change(appId: string, change: (before: ItemSet) => ItemSet, { signal }: CallContext): Promise<void> {
    signal.throwIfAborted();
    return this.#inTurn(async () => {
      signal.throwIfAborted();
      // What others have changed since the last look is not undone.
      await this.#readAll();
      const before = this.#itemsOf(appId);
      const after = change(before);
      if (after.changesSince(before).length === 0) return;
      checkRoom(this.#name, new Map([...this.#apps, [appId, after]]).values(), this.#maxBytes);
      await this.#write(appId, [...after]);
      await this.#readAll();
    });
  }

  async #write(appId: string, items: readonly ConfigItem[]): Promise<void> {
    const [existing] = this.#files.entries().find(([, { apps }]) => apps.has(appId)) ?? [];
    const path = existing ?? this.#folder.pathFor(appId);
    const fault = this.#files.get(path)?.fault;
    if (fault !== undefined) throw malformed(path, fault);
    const { layout } = this.#folder;
    await replaceText(path, replaceItems(await readText(path), layout, { appId, items }));
  }

  #lookSoon(): void {
    if (this.#closed || this.#settling !== undefined) return;
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      void this.#inTurn(() => this.#look());
    }, settleMs).unref();
  }

  async #look(): Promise<void> {
    try {
      const files = await this.#folder.list();
      if (files === undefined) return;
      const seen = JSON.stringify(files);
      const isSettled = seen === this.#seen;
      this.#seen = seen;
      if (this.#isRead(files)) return;
      if (isSettled) await this.#read(files);
      else this.#lookSoon();
    } catch (error) {
      this.#log.warn({ err: error, store: this.#name }, "configuration could not be read; what it said before stays");
    }
  }

  async #readAll(): Promise<void> {
    const files = await this.#folder.list();
    if (files !== undefined) return this.#read(files);
    const message = `the folder of configuration store '${this.#name}' is gone; make it again`;
    throw new RuntimeError("UNAVAILABLE", "CONFIG_FOLDER_MISSING", message);
  }

  /** Takes over what the files say; one that is not understood keeps what it said before. */
  async #read(files: readonly FoundFile[]): Promise<void> {
    const read = await Promise.all(files.map(async (file) => [file.path, await this.#readFile(file)] as const));
    this.#files = new Map(read);
    const before = this.#apps;
    this.#apps = gathered(this.#files.values());
    for (const appId of new Set([...before.keys(), ...this.#apps.keys()])) {
      const changes = this.#itemsOf(appId).changesSince(before.get(appId) ?? ItemSet.empty);
      if (changes.length > 0) this.#subscribers.tell(appId, changes);
    }
  }

  async #readFile({ path, fingerprint, appId }: FoundFile): Promise<ReadFile> {
    const before = this.#files.get(path);
    if (before?.fingerprint === fingerprint) return before;
    try {
      const apps = parseItems(await readText(path), this.#folder.layout);
      const named = appId === undefined ? apps : new Map([[appId, apps.get("") ?? []]]);
      return { fingerprint, apps: named };
    } catch (error) {
      const fault = messageOf(error);
      this.#log.error({ file: path, fault }, "a configuration file is not understood; what it said before stays");
      return { fingerprint, apps: before?.apps ?? new Map(), fault };
    }
  }

  #isRead(files: readonly FoundFile[]): boolean {
    return (
      files.length === this.#files.size &&
      files.every(({ path, fingerprint }) => this.#files.get(path)?.fingerprint === fingerprint)
    );
  }

  #itemsOf(appId: string): ItemSet {
    return this.#apps.get(appId) ?? ItemSet.empty;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** The items of all files by application. */
function gathered(files: Iterable<ReadFile>): Map<string, ItemSet> {
  const apps = new Map<string, ItemSet>();
  for (const file of files) {
    for (const [appId, items] of file.apps) apps.set(appId, (apps.get(appId) ?? ItemSet.empty).with(items));
  }
  return apps;
}

function malformed(path: string, fault: string): RuntimeError {
  const message = `'${path}' is not a file of configuration items (${fault}); correct it first`;
  return new RuntimeError("FAILED_PRECONDITION", "CONFIG_FILE_MALFORMED", message);
}

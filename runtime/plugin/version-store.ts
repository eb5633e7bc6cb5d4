import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { codeOf, messageOf } from "../../components/thrown.ts";
import type { Log } from "../telemetry/log.ts";
import type { PluginArtifact } from "./artifact.ts";
import { DeployHistory } from "./deploy-history.ts";
import { digestInParts } from "./digest.ts";
import { listFiles, makeOwnFolder, removeFile, replaceFile } from "./durable-file.ts";
import { FolderRefused } from "./folder-lock.ts";
import { PluginError } from "./plugin-error.ts";
import {
  type DirectoryDeploy,
  readStored,
  recordFileName,
  type StoredPlugin,
  writeStored,
} from "./plugin-record-file.ts";
import type { HistoryEntry, PluginRecord, VersionRecord, VersionStore } from "./versions.ts";

/** Modules of one plugin that were kept and that no record names yet. */
const maxAwaited = 8;

export interface DiskVersionStoreOptions {
  readonly maxHistoryBytes?: number;
  /** Awaited before anything is written; rejects when that may not be. */
  readonly claim?: () => Promise<void>;
}

/**
 * The plugins of a sidecar on its disk, below one folder: `modules/sha256/<hex>.wasm`, `records/<plugin>.json` and the history.
 * One process at a time may have it open.
 */
export class DiskVersionStore implements VersionStore {
  readonly #folder: string;
  readonly #modules: string;
  readonly #records: string;
  readonly #log: Log;
  readonly #claim: () => Promise<void>;
  readonly #history: DeployHistory;
  readonly #stored = new Map<string, StoredPlugin>();
  /** Digests that were kept and wait for the record that names them, by plugin. */
  readonly #awaited = new Map<string, string[]>();
  /** Files that cannot be read as records: what they name is unknown, so no module goes while there are any. */
  readonly #broken = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, log: Log, { claim, maxHistoryBytes }: DiskVersionStoreOptions) {
    this.#folder = folder;
    this.#modules = join(folder, "modules", "sha256");
    this.#records = join(folder, "records");
    this.#log = log;
    this.#claim = claim ?? (async () => {});
    this.#history = new DeployHistory(folder, maxHistoryBytes);
  }

  /** Reads what is kept; a record that is broken is logged and left alone. The folder above must be there. */
  static async open(folder: string, log: Log, options: DiskVersionStoreOptions = {}): Promise<DiskVersionStore> {
    const store = new DiskVersionStore(folder, log, options);
    for (const path of [folder, join(folder, "modules"), store.#modules, store.#records]) await makeOwnFolder(path);
    for (const fileName of await listFiles(store.#records)) await store.#readRecord(fileName);
    await store.#inTurn(() => store.#removeUnnamed());
    return store;
  }

  /** Every plugin of which something is kept, by name. */
  get records(): readonly PluginRecord[] {
    return [...this.#stored.values()].map(({ record }) => record);
  }

  record(plugin: string): PluginRecord | undefined {
    return this.#stored.get(plugin)?.record;
  }

  keep({ manifest, bytes, digest }: PluginArtifact): Promise<void> {
    const awaited = [digest, ...(this.#awaited.get(manifest.name) ?? []).filter((one) => one !== digest)];
    this.#awaited.set(manifest.name, awaited.slice(0, maxAwaited));
    return this.#inTurn(() =>
      this.#storing(manifest.name, manifest.version, async () => {
        const path = this.#modulePath(digest);
        if (!(await holds(path, bytes.length, digest))) await replaceFile(path, bytes);
      }),
    );
  }

  async load(version: VersionRecord): Promise<PluginArtifact> {
    const path = this.#modulePath(version.digest);
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw unusable(version, `${path} cannot be read (${codeOf(cause) ?? String(cause)})`, cause);
    });
    const [{ makeArtifact }, { checkModule }] = await Promise.all([
      import("./artifact.ts"),
      import("./module-check.ts"),
    ]);
    const check = await checkModule(bytes);
    if (check.digest !== version.digest) throw unusable(version, `${path} is not the module that was kept`);
    const manifest = { text: version.manifest, path: version.origin };
    const module = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    return makeArtifact(module, version.origin, manifest, undefined, check);
  }

  save(record: PluginRecord): Promise<void> {
    return this.#replace(record.plugin, record.stable?.version ?? "", () => ({
      record,
      directory: this.#stored.get(record.plugin)?.directory,
    }));
  }

  async log(entry: HistoryEntry): Promise<void> {
    await this.#storing(entry.plugin, entry.version, () => this.#history.append(entry));
  }

  /** The newest first; of every plugin when none is named. */
  history(limit: number, plugin?: string): Promise<HistoryEntry[]> {
    return this.#history.read(limit, plugin);
  }

  /** What the plugins directory last deployed, by plugin. */
  *directoryDeploys(): Generator<readonly [plugin: string, deploy: DirectoryDeploy]> {
    for (const [plugin, { directory }] of this.#stored) if (directory !== undefined) yield [plugin, directory];
  }

  directoryDeploy(plugin: string): DirectoryDeploy | undefined {
    return this.#stored.get(plugin)?.directory;
  }

  /** Remembers what the plugins directory deployed, or forgets it; resolves when that is durable. */
  rememberDirectoryDeploy(plugin: string, directory: DirectoryDeploy | undefined): Promise<void> {
    return this.#replace(plugin, "", () => ({
      record: this.record(plugin) ?? { plugin, stable: undefined, trial: undefined, previous: [] },
      directory,
    }));
  }

  #replace(plugin: string, version: string, make: () => StoredPlugin): Promise<void> {
    return this.#inTurn(() =>
      this.#storing(plugin, version, async () => {
        const stored = make();
        const fileName = recordFileName(plugin);
        const path = join(this.#records, fileName);
        if (isEmpty(stored)) await removeFile(path);
        else await replaceFile(path, writeStored(stored));
        if (isEmpty(stored)) this.#stored.delete(plugin);
        else this.#stored.set(plugin, stored);
        this.#broken.delete(fileName);
        const named = new Set(versionsOf(stored.record).map(({ digest }) => digest));
        const awaited = (this.#awaited.get(plugin) ?? []).filter((digest) => !named.has(digest));
        if (awaited.length > 0) this.#awaited.set(plugin, awaited);
        else this.#awaited.delete(plugin);
        await this.#removeUnnamed();
      }),
    );
  }

  async #readRecord(fileName: string): Promise<void> {
    if (!fileName.endsWith(".json")) return;
    const path = join(this.#records, fileName);
    try {
      const { stored, leftOut } = readStored(await readFile(path, "utf8"), fileName);
      const { plugin } = stored.record;
      this.#stored.set(plugin, stored);
      if (leftOut.length === 0) return;
      // The modules stay that the part names, until the record is written anew.
      this.#broken.add(fileName);
      const keys = leftOut.map((key) => `'${key}'`).join(", ");
      const message = `the record ${path} is restored without what this version of the sidecar cannot read: ${keys} is missing or wrong; a deploy of plugin '${plugin}' writes it anew`;
      this.#log.error({ file: path, plugin }, message);
    } catch (error) {
      this.#broken.add(fileName);
      this.#log.error(
        { file: path },
        `the record ${path} cannot be used: ${whyBroken(error)}; its plugin is not restored`,
      );
    }
  }

  /** Removes the modules that nothing names. What cannot be removed is tried again next time. */
  async #removeUnnamed(): Promise<void> {
    if (this.#broken.size > 0) return;
    const named = new Set([...this.#awaited.values()].flat().map((digest) => this.#modulePath(digest)));
    for (const { record } of this.#stored.values())
      for (const { digest } of versionsOf(record)) named.add(this.#modulePath(digest));
    for (const fileName of await listFiles(this.#modules)) {
      const path = join(this.#modules, fileName);
      if (named.has(path)) continue;
      await rm(path, { force: true }).catch((error: unknown) => {
        this.#log.warn({ err: error, file: path }, `the module ${path} is not needed any more and cannot be removed`);
      });
    }
  }

  #modulePath(digest: string): string {
    return join(this.#modules, `${digest.replace(/^sha256:/, "")}.wasm`);
  }

  async #storing<Result>(plugin: string, version: string, task: () => Promise<Result>): Promise<Result> {
    try {
      await this.#claim();
      return await task();
    } catch (cause) {
      const why =
        cause instanceof FolderRefused
          ? `: ${cause.message}`
          : ` (${codeOf(cause) ?? String(cause)}); see that the disk has room and can be written to`;
      const message = `plugin '${plugin}' ${version} cannot be kept below ${this.#folder}${why}`;
      throw new PluginError(plugin, version, "storage", message.replace("  ", " "), { cause });
    }
  }

  #inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(task);
    this.#turn = result.catch(() => {});
    return result;
  }
}

const versionsOf = ({ stable, trial, previous }: PluginRecord): VersionRecord[] =>
  [stable, trial?.version, ...previous].filter((version) => version !== undefined);

const isEmpty = ({ record, directory }: StoredPlugin): boolean =>
  versionsOf(record).length === 0 && directory === undefined;

/** Whether the file is there already, undamaged. */
async function holds(path: string, size: number, digest: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.size === size && (await digestInParts(await readFile(path))) === digest;
}

function whyBroken(error: unknown): string {
  if (error instanceof z.ZodError) return `'${error.issues[0]?.path.join(".")}' is missing or wrong`;
  if (error instanceof SyntaxError) return "it is not JSON";
  return codeOf(error) ?? messageOf(error);
}

function unusable({ manifest, version, origin }: VersionRecord, why: string, cause?: unknown): PluginError {
  const plugin = /^name: *["']?([A-Za-z0-9._-]+)/m.exec(manifest)?.[1] ?? origin;
  const message = `plugin '${plugin}' ${version} is not there any more: ${why}; deploy it again`;
  return new PluginError(plugin, version, "missing", message, { cause });
}

/** What is kept of plugins, and how they come in when the sidecar starts: from the disk, and from the directory. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "../components/error.ts";
import { codeOf } from "../components/thrown.ts";
import type { PluginSignatures } from "./config/plugin-sources.ts";
import type { PluginArtifact } from "./plugin/artifact.ts";
import { DirectoryDeploys } from "./plugin/directory-deploys.ts";
import { listFiles, makeOwnFolder, removeFile } from "./plugin/durable-file.ts";
import { FolderLock, FolderRefused } from "./plugin/folder-lock.ts";
import type { PluginRegistry } from "./plugin/registry.ts";
import { DiskVersionStore } from "./plugin/version-store.ts";
import type { Log } from "./telemetry/log.ts";

/** What of plugins lies on the disk; another process may have it when this is disposed. */
export interface PluginDisk extends Disposable {
  readonly folder: string;
  readonly store: DiskVersionStore;
  /** Awaited before anything is written there; rejects when that may not be. */
  readonly claim: () => Promise<void>;
}

/** A sidecar that was told to end has so long to let go of its folder. */
const takeOverMs = 5_000;

/**
 * Opens what is kept below the data directory, which must be there. One process at a time has it: from the start when something
 * was kept there before, else from the first time that something is.
 */
export async function openPluginDisk(dataDirectory: string, log: Log): Promise<PluginDisk> {
  const folder = join(dataDirectory, "plugins");
  using opening = new DisposableStack();
  const lock = opening.use(new FolderLock(folder, takeOverMs));
  try {
    await makeOwnFolder(folder);
    const isTaken = (await lock.wasTaken()) || (await hasFiles(join(folder, "records")));
    if (isTaken) await lock.take();
    const claim = isTaken ? () => lock.take() : takesUnused(lock, folder);
    const store = await DiskVersionStore.open(folder, log, { claim });
    await makeOwnFolder(uploadsOf(folder));
    // Modules that an earlier process was being sent when it ended.
    for (const name of await listFiles(uploadsOf(folder))) await removeFile(join(uploadsOf(folder), name));
    const held = opening.move();
    return { folder, store, claim, [Symbol.dispose]: () => held.dispose() };
  } catch (cause) {
    if (cause instanceof FolderRefused) {
      throw new RuntimeError("FAILED_PRECONDITION", "FOLDER_IN_USE", cause.message, { cause });
    }
    const why = codeOf(cause) ?? String(cause);
    const message = `the plugins kept in ${folder} cannot be read (${why}); see that the sidecar may read and write there`;
    throw new RuntimeError("FAILED_PRECONDITION", "FOLDER_UNUSABLE", message, { cause });
  }
}

export interface BringUpOptions {
  readonly disk: PluginDisk;
  readonly registry: PluginRegistry;
  readonly directory: string | undefined;
  /** As the configuration has them now. */
  readonly signatures: () => PluginSignatures;
  readonly log: Log;
}

/** Brings back what was deployed, then what has changed in the plugins directory, and follows that one from now on. */
export async function bringUpPlugins(options: BringUpOptions): Promise<AsyncDisposable> {
  const { disk, registry, directory, signatures, log } = options;
  const { store } = disk;
  const restored = store.records.map((record) => registry.restore(record, (version) => store.load(version)));
  for (const result of await Promise.allSettled(restored)) {
    if (result.status === "rejected") log.error({ err: result.reason }, "a plugin is not restored");
  }
  if (directory !== undefined) {
    const { PluginDirectory } = await import("./plugin/watch.ts");
    const admit = async (artifact: PluginArtifact, path: string): Promise<void> => {
      const wanted = signatures();
      if (wanted.require === false) return;
      const { requireSignedFile } = await import("./plugin/source/signed-file.ts");
      await requireSignedFile(artifact, path, wanted);
    };
    return PluginDirectory.open({ directory, registry, memory: store, admit, log });
  }
  const former = new DirectoryDeploys({ memory: store, operations: registry, log });
  for (const plugin of former.notIn(undefined)) await former.gone(plugin);
  return { [Symbol.asyncDispose]: async () => {} };
}

/** Takes the folder when it is first called; another sidecar may have come and gone since it was read. */
function takesUnused(lock: FolderLock, folder: string): () => Promise<void> {
  let isChecked = false;
  const claim = async (): Promise<void> => {
    await lock.take();
    if (isChecked) return;
    if (await hasFiles(join(folder, "records"))) {
      lock[Symbol.dispose]();
      throw new FolderRefused(`another sidecar has kept plugins in ${folder} since this one started; restart this one`);
    }
    isChecked = true;
  };
  let taking: Promise<void> | undefined;
  return () => {
    taking ??= claim().finally(() => {
      if (!isChecked) taking = undefined;
    });
    return taking;
  };
}

/** Where modules lie that are being sent, below the folder of plugins. */
export const uploadsOf = (folder: string): string => join(folder, "uploads");

const hasFiles = async (folder: string): Promise<boolean> => (await readdir(folder).catch(() => [])).length > 0;

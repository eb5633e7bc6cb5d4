import { rm, rmdir, stat, unlink, utimes } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { makeFolder } from "../clients/make-folder.ts";
import { isAbsence, type RootedPath, rootedPath } from "../clients/rooted-path.ts";
import { ServerWatch } from "../clients/server-watch.ts";
import type { CallContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { codeOf, messageOf } from "../thrown.ts";
import { FileChunks } from "./file-chunks.ts";
import { type DraftLimits, removeLeftBehind, writeDraft } from "./file-draft.ts";
import { besideFolder, findFile, moveFile, openFile, syncFolders } from "./file-places.ts";
import { filesBelow } from "./folder-walk.ts";
import {
  defineObjectStore,
  type ListObjects,
  type ObjectMeta,
  type ObjectPage,
  type ObjectStore,
  type PutObject,
} from "./object-store.ts";
import { isSameVersion, SideMetadata, type Version } from "./side-metadata.ts";

/** What the store keeps beside the files, at the top of its folder. */
const own = ".outrigger";
const maxMetadataBytes = 16 * 1024;
/** A page that would not fit into a message of the API is shorter than it was asked for. */
const maxPageBytes = 1024 ** 2;

/** Files in a folder, each under its own name: whoever can see the folder sees them, and what others put there is served. */
export const localObjectStore = defineObjectStore({
  type: "local",
  capabilities: ["metadata", "ordered"],
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .describe(
        "The folder of the files, made where it is missing; no name leads out of it. Relative to data.directory",
      ),
    maxFileBytes: z
      .int()
      .positive()
      .default(1024 ** 3)
      .describe("Largest file that can be put; default 1 GiB"),
    keepFreeBytes: z
      .int()
      .min(0)
      .default(64 * 1024 ** 2)
      .describe("Room on the disk that has to stay free: a put that would take it is refused; default 64 MiB"),
  }),
  async open({ path, ...sizes }, { name, dataDirectory, log, reachability }) {
    const owner = `file store '${name}'`;
    const directory = resolve(dataDirectory, path);
    try {
      const folder = await rootedPath(directory, owner);
      const drafts = join(folder.root, own, "put");
      await makeFolder(drafts);
      await removeLeftBehind(drafts);
      const server = `the folder of ${owner}`;
      const watch = new ServerWatch({ server, log, reachability, probe: () => stat(drafts) });
      return new LocalObjectStore(folder, drafts, { limits: { owner, ...sizes }, watch });
    } catch (cause) {
      const message = `the folder '${directory}' of ${owner} cannot be used: ${whyOf(cause)}`;
      throw new RuntimeError("FAILED_PRECONDITION", "FOLDER_UNUSABLE", message, { cause });
    }
  },
});

class LocalObjectStore implements ObjectStore {
  readonly #folder: RootedPath;
  readonly #drafts: string;
  readonly #side: SideMetadata;
  readonly #limits: DraftLimits;
  readonly #watch: ServerWatch;
  /** Changes of the folder take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    folder: RootedPath,
    drafts: string,
    { limits, watch }: { readonly limits: DraftLimits; readonly watch: ServerWatch },
  ) {
    this.#folder = folder;
    this.#drafts = drafts;
    this.#side = new SideMetadata(join(folder.root, own, "metadata"));
    this.#limits = limits;
    this.#watch = watch;
  }

  async get({ name }: { readonly name: string }, call: CallContext): Promise<AsyncIterable<Uint8Array> | undefined> {
    call.signal.throwIfAborted();
    const path = await this.#pathOf(name);
    try {
      const file = await openFile(path);
      if (file === undefined) await this.#checkFolder();
      if (file !== undefined && call.signal.aborted) await file.close();
      call.signal.throwIfAborted();
      return file === undefined ? undefined : new FileChunks(file, call);
    } catch (error) {
      throw this.#failed(error, name, "read");
    }
  }

  async put({ name, data, metadata }: PutObject, call: CallContext): Promise<void> {
    call.signal.throwIfAborted();
    const path = await this.#pathOf(name);
    const bytes = Buffer.byteLength(JSON.stringify(metadata));
    if (bytes > maxMetadataBytes) {
      const message = `the metadata of '${name}' is ${bytes} bytes large; ${this.#limits.owner} takes at most ${maxMetadataBytes}`;
      throw new RuntimeError("INVALID_ARGUMENT", "METADATA_TOO_LARGE", message);
    }
    let draft: string | undefined;
    try {
      const written = await writeDraft(this.#drafts, data, this.#limits, call);
      draft = written;
      const { changed, replaced } = await this.#inTurn(async () => {
        call.signal.throwIfAborted();
        return this.#putInForce(written, path, { name, metadata });
      });
      await syncFolders(changed);
      if (replaced !== undefined) await this.#side.remove(name, replaced);
    } catch (error) {
      if (draft !== undefined) await rm(draft, { force: true }).catch(() => undefined);
      throw this.#failed(error, name, "written");
    }
  }

  async delete({ name }: { readonly name: string }, call: CallContext): Promise<void> {
    call.signal.throwIfAborted();
    const path = await this.#pathOf(name);
    try {
      const changed = await this.#inTurn(async () => {
        call.signal.throwIfAborted();
        for (let found = await findFile(path); found !== undefined; found = await findFile(path)) {
          await unlink(found.path);
          await this.#side.remove(name, found.stats);
        }
        return this.#removeEmpty(dirname(path));
      });
      await syncFolders([changed]);
    } catch (error) {
      if (!isAbsence(error)) throw this.#failed(error, name, "deleted");
    }
  }

  async list({ prefix, pageSize, marker }: ListObjects, call: CallContext): Promise<ObjectPage> {
    call.signal.throwIfAborted();
    const { root } = this.#folder;
    try {
      await this.#checkFolder();
      const objects: ObjectMeta[] = [];
      let bytes = 0;
      for await (const name of filesBelow({ root, except: own, prefix, after: marker }, call)) {
        if (objects.length === pageSize || bytes > maxPageBytes) return { objects, marker: objects.at(-1)?.name ?? "" };
        const object = await this.#describe(join(root, name), name);
        if (object === undefined) continue;
        objects.push(object);
        bytes += Buffer.byteLength(name) + Buffer.byteLength(JSON.stringify(object.metadata));
      }
      return { objects, marker: "" };
    } catch (error) {
      throw this.#failed(error, prefix, "listed");
    }
  }

  async stat({ name }: { readonly name: string }, call: CallContext): Promise<ObjectMeta | undefined> {
    call.signal.throwIfAborted();
    try {
      const found = await this.#describe(await this.#pathOf(name), name);
      if (found === undefined) await this.#checkFolder();
      call.signal.throwIfAborted();
      return found;
    } catch (error) {
      throw this.#failed(error, name, "read");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#watch[Symbol.asyncDispose]();
  }

  async #pathOf(name: string): Promise<string> {
    const parts = name.split("/");
    if (parts[0] === own || parts.some((part) => part.endsWith(besideFolder))) {
      const message = `${this.#limits.owner} keeps names that begin with '${own}/', or end with '${besideFolder}', for itself; choose another`;
      throw new RuntimeError("INVALID_ARGUMENT", "NAME_INVALID", message);
    }
    return this.#folder.resolve(name);
  }

  /** Puts a draft in the place of what is there; its metadata comes into force with it. Resolves to what that changed. */
  async #putInForce(
    draft: string,
    path: string,
    { name, metadata }: Omit<PutObject, "data">,
  ): Promise<{ readonly changed: readonly string[]; readonly replaced: Version | undefined }> {
    const before = await findFile(path);
    let version = await stat(draft, { bigint: true });
    if (before !== undefined && isSameVersion(before.stats, version)) {
      await utimes(draft, version.atime, new Date(Number(version.mtimeMs) + 1));
      version = await stat(draft, { bigint: true });
    }
    await this.#side.write(name, version, metadata);
    try {
      const { place, changed } = await moveFile(draft, { path, root: this.#folder.root });
      if (before !== undefined && before.path !== place) await rm(before.path, { force: true });
      return { changed, replaced: before?.stats };
    } catch (error) {
      await this.#side.remove(name, version);
      throw error;
    }
  }

  /** Removes a folder and those above it as far as nothing is in them; resolves to the first that stays. */
  async #removeEmpty(folder: string): Promise<string> {
    for (let empty = folder; empty !== this.#folder.root; empty = dirname(empty)) {
      try {
        await rmdir(empty);
      } catch (error) {
        if (!isAbsence(error)) return empty;
      }
    }
    return this.#folder.root;
  }

  /** What is known of the file at the path, of one version of it; undefined when there is none. */
  async #describe(path: string, name: string): Promise<ObjectMeta | undefined> {
    let found = (await findFile(path))?.stats;
    while (found !== undefined) {
      const { size, mtimeMs } = found;
      const metadata = await this.#side.read(name, found);
      const now = metadata === undefined ? (await findFile(path))?.stats : found;
      if (now !== undefined && isSameVersion(found, now)) {
        return { name, size: Number(size), modifiedAtMs: Number(mtimeMs), metadata: metadata ?? {} };
      }
      found = now;
    }
    return undefined;
  }

  /** Throws UNAVAILABLE when the folder as a whole is away, such as a volume that is no longer mounted. */
  async #checkFolder(): Promise<void> {
    try {
      await stat(this.#drafts);
    } catch (cause) {
      this.#watch.suspect();
      const message = `the folder '${this.#folder.root}' of ${this.#limits.owner} is away (${whyOf(cause)}); mount it again`;
      throw new RuntimeError("UNAVAILABLE", "FOLDER_AWAY", message, { cause });
    }
  }

  #failed(error: unknown, name: string, done: string): unknown {
    if (!(error instanceof Error && "syscall" in error)) return error;
    const code = whyOf(error);
    const message = `${this.#limits.owner}: '${name}' cannot be ${done}: ${meanings[code] ?? code}`;
    if (code === "ENOSPC" || code === "EDQUOT") return new RuntimeError("RESOURCE_EXHAUSTED", "DISK_FULL", message);
    if (code === "ENAMETOOLONG") return new RuntimeError("INVALID_ARGUMENT", "NAME_INVALID", message);
    this.#watch.suspect();
    return new RuntimeError("UNAVAILABLE", "FILE_OPERATION_FAILED", message, { cause: error });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

const meanings: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of the disk is used up",
  ENOENT: "its folder is away",
  ENAMETOOLONG: "its name is too long for the file system",
};

const whyOf = (error: unknown): string => codeOf(error) ?? messageOf(error);

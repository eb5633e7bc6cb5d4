import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { ObjectMeta, ObjectPage, ObjectStore } from "../../components/object/object-store.ts";
import { requireCapability, type StoreSet } from "./stores.ts";

/** A file by name. */
export interface FileRequest {
  readonly store: string;
  readonly name: string;
}

export interface PutFile extends FileRequest {
  readonly data: AsyncIterable<Uint8Array>;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ListFiles {
  readonly store: string;
  /** Only names that begin with it; empty lists all. */
  readonly prefix: string;
  /** Most files to list; 0 means 1,000, which is also the most. */
  readonly pageSize: number;
  /** The marker of the page before; empty for the first. */
  readonly marker: string;
}

/** The files building block. A name that is empty or longer than 1,024 bytes is INVALID_ARGUMENT, a file that is not there NOT_FOUND. */
export interface FileBlock {
  /** The bytes of one version of the file in pieces of at most 64 KiB. Ending the iteration early lets go of the file. */
  get(request: FileRequest, call: CallContext): Promise<AsyncIterable<Uint8Array>>;
  /** The file is there as a whole once this resolves; when it rejects, what was there before still is. */
  put(request: PutFile, call: CallContext): Promise<void>;
  /** Deleting what does not exist succeeds. */
  delete(request: FileRequest, call: CallContext): Promise<void>;
  list(request: ListFiles, call: CallContext): Promise<ObjectPage>;
  stat(request: FileRequest, call: CallContext): Promise<ObjectMeta>;
}

const pieceBytes = 64 * 1024;
/** What S3 takes: a name that is good in one store is good in all. */
const maxNameBytes = 1024;
const maxPageSize = 1_000;

/** The block over the stores that are open when a call comes. */
export function createFiles(stores: StoreSet<ObjectStore>): FileBlock {
  return {
    async get({ store, name }, call) {
      const opened = stores.find(store);
      checkName(name);
      const data = await opened.store.get({ name }, call);
      if (data === undefined) throw notFound(store, name);
      return inPieces(data);
    },

    async put({ store, name, data, metadata }, call) {
      const opened = stores.find(store);
      checkName(name);
      if (Object.keys(metadata).length > 0) requireCapability("object", opened, "metadata", "metadata of files");
      await opened.store.put({ name, data, metadata }, call);
    },

    async delete({ store, name }, call) {
      const opened = stores.find(store);
      checkName(name);
      await opened.store.delete({ name }, call);
    },

    async list({ store, prefix, pageSize, marker }, call) {
      const opened = stores.find(store);
      if (pageSize < 0) {
        const message = `the page size is ${pageSize}; expected 1 to ${maxPageSize}, or 0 for ${maxPageSize}`;
        throw new RuntimeError("INVALID_ARGUMENT", "PAGE_SIZE_INVALID", message);
      }
      const size = pageSize === 0 ? maxPageSize : Math.min(pageSize, maxPageSize);
      return opened.store.list({ prefix, marker, pageSize: size }, call);
    },

    async stat({ store, name }, call) {
      const opened = stores.find(store);
      checkName(name);
      const found = await opened.store.stat({ name }, call);
      if (found === undefined) throw notFound(store, name);
      return found;
    },
  };
}

async function* inPieces(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of data) {
    for (let start = 0; start < chunk.length; start += pieceBytes) yield chunk.subarray(start, start + pieceBytes);
  }
}

function checkName(name: string): void {
  if (name === "") {
    throw new RuntimeError("INVALID_ARGUMENT", "FILE_NAME_EMPTY", "the name of the file is empty; give one");
  }
  const bytes = Buffer.byteLength(name);
  if (bytes <= maxNameBytes) return;
  const message = `the name of the file is ${bytes} bytes long; at most ${maxNameBytes} are possible`;
  throw new RuntimeError("INVALID_ARGUMENT", "FILE_NAME_TOO_LONG", message);
}

function notFound(store: string, name: string): RuntimeError {
  return new RuntimeError("NOT_FOUND", "FILE_NOT_FOUND", `file store '${store}' has no file '${name}'`);
}

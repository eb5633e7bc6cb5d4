import { randomUUID } from "node:crypto";
import { constants, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { z } from "zod";
import { isAbsence, type RootedPath, rootedPath } from "../clients/rooted-path.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { codeOf } from "../thrown.ts";
import { type Binding, type BindingResponse, defineBinding, type InvokeBinding } from "./binding.ts";

/** Files that are being written begin so, and belong to nobody else. */
const unfinished = ".outrigger-";

/** Files below one folder, with the operations of Dapr's local storage. */
export const localBinding = defineBinding({
  type: "local",
  capabilities: ["output"],
  config: z.strictObject({
    path: z.string().min(1).describe("The folder of the files, made where it is missing. Relative to data.directory"),
    maxBytes: z
      .int()
      .positive()
      .default(4 * 1024 ** 2)
      .describe("Most bytes of a file that is written or read; default 4 MiB"),
    maxListed: z.int().positive().default(10_000).describe("Most files that one list may have; default 10,000"),
  }),
  async open({ path, maxBytes, maxListed }, { name, dataDirectory }) {
    const owner = `the binding '${name}'`;
    const folder = await openFolder(resolve(dataDirectory, path), owner);
    return new LocalFiles(folder, { owner, maxBytes, maxListed });
  },
});

async function openFolder(directory: string, owner: string): Promise<RootedPath> {
  try {
    return await rootedPath(directory, owner);
  } catch (cause) {
    const message = `the folder ${directory} cannot be used: ${reasonOf(cause)}`;
    throw new RuntimeError("FAILED_PRECONDITION", "FOLDER_UNUSABLE", message, { cause });
  }
}

interface LocalFilesOptions {
  readonly owner: string;
  readonly maxBytes: number;
  readonly maxListed: number;
}

class LocalFiles implements Binding {
  readonly operations = ["create", "delete", "get", "list"];
  readonly #folder: RootedPath;
  readonly #options: LocalFilesOptions;

  constructor(folder: RootedPath, options: LocalFilesOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async invoke(request: InvokeBinding, call: CallContext): Promise<BindingResponse> {
    throwIfAborted(call);
    switch (request.operation) {
      case "create":
        return this.#create(request);
      case "delete":
        return this.#delete(request);
      case "get":
        return this.#get(request);
      case "list":
        return this.#list(request, call);
      default:
        throw new RangeError(`'${request.operation}' is no operation of ${this.#options.owner}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Writes a file as a whole, over one that is there. Without `fileName` it gets a name that nothing else has. */
  async #create({ data, metadata }: InvokeBinding): Promise<BindingResponse> {
    const fileName = metadata.fileName || randomUUID();
    if (data.length > this.#options.maxBytes) throw this.#tooLarge(`${data.length} bytes`);
    const path = await this.#pathOf(fileName);
    const draft = join(dirname(path), `${unfinished}${randomUUID()}`);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeThrough(draft, data);
      await rename(draft, path);
    } catch (cause) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw this.#failed("written", fileName, cause);
    }
    return { data: jsonOf({ fileName }), metadata: { fileName } };
  }

  async #get({ metadata }: InvokeBinding): Promise<BindingResponse> {
    const fileName = this.#nameIn(metadata);
    const path = await this.#pathOf(fileName);
    try {
      // A pipe without a writer would keep a thread waiting.
      await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const stats = await file.stat();
      if (!stats.isFile()) throw this.#notFound(fileName);
      if (stats.size > this.#options.maxBytes) throw this.#tooLarge(`'${fileName}' has ${stats.size} bytes`);
      return { data: await file.readFile(), metadata: { fileName } };
    } catch (cause) {
      if (isAbsence(cause)) throw this.#notFound(fileName);
      throw this.#failed("read", fileName, cause);
    }
  }

  /** Deleting what does not exist succeeds. */
  async #delete({ metadata }: InvokeBinding): Promise<BindingResponse> {
    const fileName = this.#nameIn(metadata);
    const path = await this.#pathOf(fileName);
    try {
      await rm(path);
    } catch (cause) {
      if (!isAbsence(cause)) throw this.#failed("deleted", fileName, cause);
    }
    return { data: new Uint8Array(), metadata: { fileName } };
  }

  /** A JSON array of the names of all files, or of those below the folder that `fileName` names; in order. */
  async #list({ metadata }: InvokeBinding, call: CallContext): Promise<BindingResponse> {
    const { fileName = "" } = metadata;
    const named = fileName.replace(/\/$/, "");
    const top = named === "" && fileName !== "/" ? this.#folder.root : await this.#pathOf(named);
    const names: string[] = [];
    const folders = [top];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      throwIfAborted(call);
      for (const entry of await entriesOf(folder)) {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) folders.push(path);
        else if (entry.isFile() && !entry.name.startsWith(unfinished)) names.push(relative(this.#folder.root, path));
        if (names.length > this.#options.maxListed) throw this.#tooMany();
      }
    }
    return { data: jsonOf(names.sort()), metadata: {} };
  }

  async #pathOf(fileName: string): Promise<string> {
    const path = await this.#folder.resolve(fileName);
    if (!basename(path).startsWith(unfinished)) return path;
    const message = `${this.#options.owner} keeps names that begin with '${unfinished}' for itself; choose another`;
    throw new RuntimeError("INVALID_ARGUMENT", "NAME_INVALID", message);
  }

  #nameIn({ fileName }: InvokeBinding["metadata"]): string {
    if (fileName !== undefined && fileName !== "") return fileName;
    const message = `${this.#options.owner} needs the metadata fileName, the path of a file below its folder`;
    throw new RuntimeError("INVALID_ARGUMENT", "FILE_NAME_MISSING", message);
  }

  #notFound(fileName: string): RuntimeError {
    return new RuntimeError("NOT_FOUND", "FILE_NOT_FOUND", `${this.#options.owner} has no file '${fileName}'`);
  }

  #tooLarge(what: string): RuntimeError {
    const { owner, maxBytes } = this.#options;
    const message = `${what} are more than ${owner} takes, which is ${maxBytes}; raise its maxBytes, or use a file store`;
    return new RuntimeError("RESOURCE_EXHAUSTED", "FILE_TOO_LARGE", message);
  }

  #tooMany(): RuntimeError {
    const { owner, maxListed } = this.#options;
    const message = `${owner} has more than ${maxListed} files there; name a folder as fileName, or raise its maxListed`;
    return new RuntimeError("RESOURCE_EXHAUSTED", "LIST_TOO_LONG", message);
  }

  #failed(done: string, fileName: string, cause: unknown): RuntimeError {
    if (cause instanceof RuntimeError) return cause;
    const message = `${this.#options.owner}: '${fileName}' cannot be ${done}: ${reasonOf(cause)}`;
    return new RuntimeError("FAILED_PRECONDITION", "FILE_OPERATION_FAILED", message, { cause });
  }
}

/** Resolves once the disk has it: a file that was acknowledged is there after a crash of the machine. */
async function writeThrough(path: string, data: Uint8Array): Promise<void> {
  await using file = await open(path, "wx");
  await file.writeFile(data);
  await file.sync();
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

const jsonOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

const reasonOf = (error: unknown): string => codeOf(error) ?? "an unknown reason";

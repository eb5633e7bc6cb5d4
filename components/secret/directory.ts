import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { z } from "zod";
import { ServerWatch } from "../clients/server-watch.ts";
import type { CallContext, ComponentLog, Reachability } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { codeOf, messageOf } from "../thrown.ts";
import { isMissing, readSecretText } from "./read-text.ts";
import { defineSecretStore, type Secret, type SecretStore } from "./secret-store.ts";

/** Secrets in the files of a folder, as Kubernetes mounts a Secret. */
export const directorySecretStore = defineSecretStore({
  type: "directory",
  capabilities: [],
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .describe(
        "A folder: each file is a secret of one value, each folder in it a secret with a value in each file. Mount the volume of a Kubernetes Secret here. Relative to data.directory",
      ),
    maxBytes: z
      .int()
      .positive()
      .default(1024 ** 2)
      .describe("Largest size of the values of one secret together; default 1 MiB. A larger one is refused"),
  }),
  async open({ path, maxBytes }, { name, dataDirectory, log, reachability }) {
    const folder = resolve(dataDirectory, path);
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory()) return new DirectorySecretStore({ name, folder, maxBytes, log, reachability });
    const message = `'${folder}', the folder of secret store '${name}', does not exist or is no folder; mount the secrets there`;
    throw new RuntimeError("FAILED_PRECONDITION", "SECRET_FOLDER_MISSING", message);
  },
});

interface DirectoryOptions {
  readonly name: string;
  readonly folder: string;
  readonly maxBytes: number;
  readonly log: ComponentLog;
  readonly reachability: Reachability;
}

/** What Kubernetes keeps beside the keys: `..data`, a link to the folder of the version in force, and that folder. */
const currentVersion = "..data";
/** A version may be swapped while it is read, and swapped again. */
const tries = 5;

class DirectorySecretStore implements SecretStore {
  readonly #options: DirectoryOptions;
  readonly #watch: ServerWatch;

  constructor(options: DirectoryOptions) {
    const { name, folder, log, reachability } = options;
    this.#options = options;
    const server = `the folder of secret store '${name}'`;
    this.#watch = new ServerWatch({ server, log, reachability, probe: () => realpath(folder) });
  }

  async get({ name }: { readonly name: string }, { signal }: CallContext): Promise<Secret | undefined> {
    signal.throwIfAborted();
    const root = await this.#root();
    if (!isEntryName(name)) return undefined;
    try {
      return await inOneVersion(root, root, (version) => this.#read(root, join(version, name), name));
    } catch (error) {
      throw this.#unreadable(name, error);
    }
  }

  async getAll({ signal }: CallContext): Promise<Readonly<Record<string, Secret>>> {
    signal.throwIfAborted();
    const root = await this.#root();
    const all = await inOneVersion(root, root, async (version) => {
      const secrets: [string, Secret][] = [];
      for (const name of (await readdir(version)).filter(isEntryName)) {
        try {
          const secret = await this.#read(root, join(version, name), name);
          if (secret !== undefined) secrets.push([name, secret]);
        } catch (error) {
          if (isMissing(error) && (await versionIn(root, root)) !== version) throw error;
          const { message } = this.#unreadable(name, error);
          this.#options.log.warn({ secret: name, why: message }, "a secret is left out, as it cannot be read");
        }
      }
      return secrets;
    });
    return Object.fromEntries(all ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
  }

  async #root(): Promise<string> {
    const { name, folder } = this.#options;
    try {
      return await realpath(folder);
    } catch (cause) {
      this.#watch.suspect();
      const message = `'${folder}', the folder of secret store '${name}', cannot be read (${codeOf(cause) ?? String(cause)})`;
      throw new RuntimeError("UNAVAILABLE", "SECRET_FOLDER_MISSING", message);
    }
  }

  /** One secret, a file or a folder of files; undefined for what is neither. */
  async #read(root: string, path: string, name: string): Promise<Secret | undefined> {
    const { maxBytes } = this.#options;
    const found = await stat(await withinRoot(root, path));
    if (found.isFile()) return Object.fromEntries([[name, await readWithin(root, path, maxBytes)]]);
    if (!found.isDirectory()) return undefined;
    return inOneVersion(root, path, async (version) => {
      const values: [string, string][] = [];
      let left = maxBytes;
      for (const key of (await readdir(version)).filter(isEntryName).sort()) {
        const file = join(version, key);
        if (!(await stat(await withinRoot(root, file))).isFile()) continue;
        const text = await readWithin(root, file, left);
        left -= Buffer.byteLength(text);
        values.push([key, text]);
      }
      return Object.fromEntries(values);
    });
  }

  #unreadable(secret: string, cause: unknown): RuntimeError {
    if (cause instanceof RuntimeError) return cause;
    const why = codeOf(cause) ?? messageOf(cause);
    const message = `the secret '${secret}' of secret store '${this.#options.name}' cannot be read: ${why}`;
    return new RuntimeError("FAILED_PRECONDITION", "SECRET_UNREADABLE", message);
  }
}

/**
 * Reads what a folder holds, and again when another version came meanwhile; undefined when something is missing in the version in
 * force.
 */
async function inOneVersion<T>(
  root: string,
  folder: string,
  read: (version: string) => Promise<T>,
): Promise<T | undefined> {
  for (let left = tries; left > 0; left--) {
    const version = await versionIn(root, folder);
    const result = await unlessMissing(read(version));
    // Of a version that is being removed a part may be gone.
    if ((await versionIn(root, folder)) === version) return result;
  }
  const message = `the secrets in '${folder}' change faster than they can be read; try again`;
  throw new RuntimeError("UNAVAILABLE", "SECRETS_CHANGING", message);
}

async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** What can be the name of a file, other than those that Kubernetes keeps for itself. */
const isEntryName = (name: string): boolean =>
  name !== "" && name !== "." && !name.startsWith("..") && !/[/\0]/.test(name);

/** The folder that holds the entries of a mounted one: that of the version in force, where versions are kept. */
async function versionIn(root: string, folder: string): Promise<string> {
  const link = join(folder, currentVersion);
  for (let left = tries; ; left--) {
    try {
      return await withinRoot(root, link);
    } catch (error) {
      if (!isMissing(error) || left === 1) throw error;
      // A link that led nowhere has been swapped meanwhile.
      if ((await unlessMissing(lstat(link))) === undefined) return withinRoot(root, folder);
    }
  }
}

const readWithin = async (root: string, path: string, maxBytes: number): Promise<string> =>
  (await readSecretText(await withinRoot(root, path), maxBytes)).text;

/** Where the path leads, with all links followed; throws when that is not below the root. */
async function withinRoot(root: string, path: string): Promise<string> {
  const target = await realpath(path);
  if (target === root || target.startsWith(root.endsWith(sep) ? root : root + sep)) return target;
  throw new Error("a link leads out of the folder");
}

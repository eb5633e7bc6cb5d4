import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isAbsence } from "../clients/rooted-path.ts";

/** The metadata of an object. */
export type Metadata = Readonly<Record<string, string>>;
/** What tells one version of a file from another of its name. */
export type Version = Pick<BigIntStats, "mtimeNs" | "size">;

export const isSameVersion = (one: Version, other: Version): boolean =>
  one.mtimeNs === other.mtimeNs && one.size === other.size;

/**
 * The metadata of files, each in a file of its own whose name says which version of which file it belongs to: it is
 * written before that version is put into force, and comes into force with it.
 */
export class SideMetadata {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined when nothing was written for the version. */
  async read(name: string, version: Version): Promise<Metadata | undefined> {
    try {
      const kept: unknown = JSON.parse(await readFile(this.#pathOf(name, version), "utf8"));
      if (!Array.isArray(kept)) return undefined;
      return Object.fromEntries(kept.filter(isPair));
    } catch (error) {
      // What somebody else left there, or a crash within writing, counts as nothing.
      if (isAbsence(error) || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** Resolves once the disk has it. */
  async write(name: string, version: Version, metadata: Metadata): Promise<void> {
    const pairs = Object.entries(metadata);
    if (pairs.length === 0) return this.remove(name, version);
    const path = this.#pathOf(name, version);
    await mkdir(dirname(path), { recursive: true });
    await using file = await open(path, "w");
    await file.writeFile(JSON.stringify(pairs));
    await file.sync();
    await using folder = await open(dirname(path));
    await folder.sync();
  }

  async remove(name: string, version: Version): Promise<void> {
    await rm(this.#pathOf(name, version), { force: true });
  }

  #pathOf(name: string, { mtimeNs, size }: Version): string {
    const hash = createHash("sha256").update(name).digest("hex");
    return join(this.#folder, hash.slice(0, 2), `${hash.slice(2)}-${mtimeNs}-${size}.json`);
  }
}

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "string";

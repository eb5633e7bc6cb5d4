import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "../plugin/sandbox/compiler.ts";
import { digestBytes } from "./transpiled.ts";

const extension = ".component";
const draftExtension = ".draft";
/** A draft that is older belongs to no process that still writes it. */
const draftMs = 600_000;

/**
 * Transpiled components in a folder of their own. A file ends with the digest of what is before it, so that a damaged one is found
 * out and made anew. What was not used for longest goes when there is too much.
 */
export class TranspileCache {
  readonly directory: string;
  readonly maxBytes: number;

  constructor(directory: string, maxBytes: number) {
    this.directory = directory;
    this.maxBytes = maxBytes;
  }

  /** What was kept under the key, with its digest; undefined when there is nothing whole. */
  async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const file = this.#file(key);
    try {
      const { buffer, byteOffset, length } = await readFile(file);
      const bytes = new Uint8Array(buffer, byteOffset, length);
      if (!(await isWhole(bytes))) return undefined;
      const now = new Date();
      await utimes(file, now, now).catch(() => undefined);
      return bytes;
    } catch {
      // A cache that cannot be read is an empty one.
      return undefined;
    }
  }

  /** Keeps the pieces as one, of which the last bytes are the digest. Rejects when the disk does not take them. */
  async put(key: string, pieces: readonly Uint8Array[]): Promise<void> {
    const draft = join(this.directory, `.${randomBytes(8).toString("hex")}${draftExtension}`);
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    try {
      await writeFile(draft, pieces, { mode: 0o600, flag: "wx" });
      await rename(draft, this.#file(key));
    } finally {
      await rm(draft, { force: true });
    }
    await this.#prune();
  }

  async #prune(): Promise<void> {
    const kept: { path: string; bytes: number; usedMs: number }[] = [];
    for (const name of await readdir(this.directory)) {
      const path = join(this.directory, name);
      const state = await stat(path).catch(() => undefined);
      if (state === undefined) continue;
      if (name.endsWith(extension)) kept.push({ path, bytes: state.size, usedMs: state.mtimeMs });
      else if (name.endsWith(draftExtension) && Date.now() - state.mtimeMs > draftMs) await rm(path, { force: true });
    }
    let total = 0;
    for (const { path, bytes } of kept.sort((a, b) => b.usedMs - a.usedMs)) {
      total += bytes;
      if (total > this.maxBytes) await rm(path, { force: true });
    }
  }

  #file(key: string): string {
    return join(this.directory, `${key}${extension}`);
  }
}

async function isWhole(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  if (bytes.length <= digestBytes) return false;
  const kept = Buffer.from(bytes.subarray(-digestBytes)).toString("hex");
  return (await sha256(bytes.subarray(0, -digestBytes))) === `sha256:${kept}`;
}

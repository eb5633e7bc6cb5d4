import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { codeOf } from "../../../components/thrown.ts";
import { digestInParts } from "../digest.ts";
import { digestPattern } from "./reference.ts";

const digest = z.string().regex(digestPattern);
const recordShape = z.object({
  reference: z.string(),
  module: digest,
  /** Of an image: the digest of its manifest, and all that it may have been signed by. */
  image: digest.optional(),
  images: z.array(digest).optional(),
  signatures: z.array(z.object({ signature: z.string(), payload: z.string().optional() })),
});

/** What was fetched by a reference. */
export type PullRecord = z.output<typeof recordShape>;

const mostRecords = 4_096;
const leftover = /\.part$/;
const leftoverMs = 3_600_000;

/**
 * Modules that were fetched, on disk: `sha256/HEX` by their content, and `references/HEX.json` that says which reference had
 * which. What is not as it was written, or cannot be read, counts as absent. Several processes may share a folder.
 */
export class PullCache {
  readonly #modules: string;
  readonly #records: string;
  readonly #maxBytes: number;

  constructor(directory: string, maxBytes: number) {
    this.#modules = join(directory, "sha256");
    this.#records = join(directory, "references");
    this.#maxBytes = maxBytes;
  }

  /** What the reference had when it was last fetched; undefined when that is not known, or no longer there. */
  async find(
    reference: string,
  ): Promise<{ readonly record: PullRecord; readonly bytes: Uint8Array<ArrayBuffer> } | undefined> {
    const file = this.#recordFile(reference);
    const record = await readRecord(file);
    if (record === undefined || record.reference !== reference) return undefined;
    const path = this.#moduleFile(record.module);
    const bytes = await readIfThere(path);
    if (bytes !== undefined && (await digestInParts(bytes)) === record.module) {
      // Its age is what decides which goes first; a folder that cannot be written to keeps what it has.
      const now = new Date();
      await Promise.all([path, file].map((used) => utimes(used, now, now).catch(() => {})));
      return { record, bytes };
    }
    if (bytes !== undefined) await rm(path, { force: true }).catch(() => {});
    return undefined;
  }

  /**
   * Keeps a module and drops those beyond the limit that were not used for longest; one that is larger than the limit is not
   * kept, and none where the disk is full or may not be written to: it is fetched again the next time.
   */
  async keep(record: PullRecord, bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#maxBytes) return;
    try {
      await this.#write(record, bytes);
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }

  async #write(record: PullRecord, bytes: Uint8Array): Promise<void> {
    await Promise.all([this.#modules, this.#records].map((folder) => mkdir(folder, { recursive: true, mode: 0o700 })));
    await replace(this.#moduleFile(record.module), bytes);
    await replace(this.#recordFile(record.reference), Buffer.from(JSON.stringify(record)));
    await Promise.all([
      trim(this.#modules, { bytes: this.#maxBytes, files: mostRecords }),
      trim(this.#records, { bytes: Number.POSITIVE_INFINITY, files: mostRecords }),
    ]);
  }

  #moduleFile(of: string): string {
    return join(this.#modules, of.slice("sha256:".length));
  }

  #recordFile(reference: string): string {
    return join(this.#records, `${createHash("sha256").update(reference).digest("hex")}.json`);
  }
}

async function readRecord(file: string): Promise<PullRecord | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return recordShape.safeParse(JSON.parse(Buffer.from(text).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

async function readIfThere(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const { buffer, byteOffset, length } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
}

/** There as a whole or not at all, whenever the process ends. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.${randomUUID()}.part`;
  try {
    await writeFile(part, bytes, { mode: 0o600 });
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** Removes the files that were not used for longest, until the rest is within the limits. */
async function trim(folder: string, most: { readonly bytes: number; readonly files: number }): Promise<void> {
  const files: { readonly path: string; readonly size: number; readonly usedMs: number }[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    if (!leftover.test(name)) files.push({ path, size: found.size, usedMs: found.mtimeMs });
    else if (Date.now() - found.mtimeMs > leftoverMs) await rm(path, { force: true });
  }
  files.sort((one, other) => other.usedMs - one.usedMs);
  let bytes = 0;
  for (const [index, { path, size }] of files.entries()) {
    bytes += size;
    if (bytes > most.bytes || index >= most.files) await rm(path, { force: true });
  }
}

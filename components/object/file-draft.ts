import { randomUUID } from "node:crypto";
import { type FileHandle, open, readdir, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { CallContext } from "../component.ts";
import { RuntimeError } from "../error.ts";

/** How much may be written. */
export interface DraftLimits {
  readonly maxFileBytes: number;
  /** What has to stay free on the disk. */
  readonly keepFreeBytes: number;
  /** Who speaks in messages: `file store 'reports'`. */
  readonly owner: string;
}

const flushBytes = 256 * 1024;
/** How often the room on the disk is looked at. */
const roomBytes = 16 * 1024 ** 2;
/** A draft that nobody has written to for so long was left behind by a process that ended. */
const leftBehindMs = 24 * 3_600_000;

/** Writes the data to a new file of the folder; resolves to its path once the disk has it. Leaves nothing when it rejects. */
export async function writeDraft(
  folder: string,
  data: AsyncIterable<Uint8Array>,
  limits: DraftLimits,
  { signal }: CallContext,
): Promise<string> {
  const path = join(folder, randomUUID());
  try {
    await using file = await open(path, "wx");
    let written = 0;
    let lookAt = 0;
    let waiting: Uint8Array[] = [];
    let waitingBytes = 0;
    const flush = async (): Promise<void> => {
      if (written >= lookAt) await checkRoom(folder, limits);
      if (written >= lookAt) lookAt = written + roomBytes;
      await writeAll(file, Buffer.concat(waiting, waitingBytes));
      written += waitingBytes;
      waiting = [];
      waitingBytes = 0;
    };
    for await (const chunk of data) {
      signal.throwIfAborted();
      waiting.push(chunk);
      waitingBytes += chunk.length;
      if (written + waitingBytes > limits.maxFileBytes) throw tooLarge(limits);
      if (waitingBytes >= flushBytes) await flush();
    }
    await flush();
    signal.throwIfAborted();
    await file.sync();
    return path;
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Removes what processes that ended amid writing left in the folder. */
export async function removeLeftBehind(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > leftBehindMs) await rm(path, { force: true });
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let start = 0; start < bytes.length; ) {
    start += (await file.write(bytes, start, bytes.length - start)).bytesWritten;
  }
}

async function checkRoom(folder: string, { keepFreeBytes, owner }: DraftLimits): Promise<void> {
  if (keepFreeBytes === 0) return;
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= keepFreeBytes) return;
  const message = `the disk of ${owner} has less than keepFreeBytes (${keepFreeBytes}) left; make room`;
  throw new RuntimeError("RESOURCE_EXHAUSTED", "DISK_FULL", message);
}

function tooLarge({ maxFileBytes, owner }: DraftLimits): RuntimeError {
  const message = `the file is larger than ${owner} takes; raise its maxFileBytes (${maxFileBytes})`;
  return new RuntimeError("RESOURCE_EXHAUSTED", "FILE_TOO_LARGE", message);
}

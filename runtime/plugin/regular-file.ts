import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** What lies at the path is no file that can be read as a whole: too large, or a pipe, a folder, a device. */
export class UnreadableFile extends Error {}

/**
 * Reads a file of at most so many bytes, links followed. Rejects with UnreadableFile, told as a sentence, for anything else that
 * lies there; a pipe without a writer would hold a thread of the process for good.
 */
export async function readRegularFile(path: string, maxBytes: number, what: string): Promise<Buffer<ArrayBuffer>> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const found = await file.stat();
  if (!found.isFile()) throw new UnreadableFile(`${path} is not a file; ${what} is a regular file`);
  const tooLarge = (size: number): UnreadableFile =>
    new UnreadableFile(`${path} has ${size} bytes; ${what} has at most ${maxBytes}`);
  if (found.size > maxBytes) throw tooLarge(found.size);
  return await readUpTo(file, found.size, maxBytes, tooLarge);
}

/** A file that grows meanwhile is not read beyond the limit. */
async function readUpTo(
  file: FileHandle,
  size: number,
  maxBytes: number,
  tooLarge: (size: number) => UnreadableFile,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer<ArrayBuffer>[] = [];
  let count = 0;
  for (let wanted = size + 1; ; wanted = 64 * 1024) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(wanted), 0, wanted);
    if (bytesRead === 0) break;
    count += bytesRead;
    if (count > maxBytes) throw tooLarge(count);
    chunks.push(buffer.subarray(0, bytesRead));
  }
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}

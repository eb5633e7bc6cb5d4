import { type BigIntStats, constants } from "node:fs";
import { open } from "node:fs/promises";
import { codeOf } from "../thrown.ts";

/** A file's text, and what changes with it. */
export interface ReadText {
  readonly text: string;
  readonly fingerprint: string;
}

/**
 * The text of a regular file. Throws a sentence that says nothing of what the file holds when it is larger than `maxBytes`,
 * not UTF-8, or no file; the errors of the system otherwise.
 */
export async function readSecretText(path: string, maxBytes: number): Promise<ReadText> {
  // Opening a pipe must not wait for who writes to it.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const found = await file.stat({ bigint: true });
  if (!found.isFile()) throw new Error("it is not a file");
  const buffer = Buffer.alloc(Math.min(Number(found.size), maxBytes) + 1);
  let length = 0;
  for (let read = 1; read > 0 && length < buffer.length; length += read) {
    ({ bytesRead: read } = await file.read(buffer, length, buffer.length - length, length));
  }
  if (length > maxBytes) throw new Error(`it is larger than maxBytes (${maxBytes})`);
  const bytes = buffer.subarray(0, length);
  try {
    return { text: decoder.decode(bytes), fingerprint: fingerprintOf(found) };
  } catch {
    throw new Error("it is not text in UTF-8");
  }
}

/** Changes with the file, whatever links lead to it. */
export const fingerprintOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(":");

/** Whether an error of the system says that there is no such file. */
export const isMissing = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(codeOf(error) ?? "");

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Cursors of listings in the order of the bytes of keys: the last key that was looked at. */
import { RuntimeError } from "../error.ts";
import type { ListKeys } from "./state-store.ts";

export const cursorAt = (key: Uint8Array): string => Buffer.from(key).toString("base64url");

/** The bytes of the first key that may come on the page: those of the prefix, or what follows the cursor's key at once. */
export function pageStart(store: string, { prefix, cursor }: ListKeys): Buffer {
  const bytes = Buffer.from(prefix);
  if (cursor === undefined) return bytes;
  const last = Buffer.from(cursor, "base64url");
  if (cursorAt(last) !== cursor || !last.subarray(0, bytes.length).equals(bytes)) throw cursorUnknown(store, cursor);
  return Buffer.concat([last, Buffer.of(0)]);
}

/** The key of the bytes; undefined when they are no UTF-8, so that nobody can ask for it. */
export function keyOfBytes(bytes: Uint8Array): string | undefined {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  return key.includes("\uFFFD") && !Buffer.from(key).equals(bytes) ? undefined : key;
}

export function cursorUnknown(store: string, cursor: string): RuntimeError {
  const message = `state store '${store}' gave no cursor '${cursor.slice(0, 100)}' for keys with this prefix; begin the listing again`;
  return new RuntimeError("INVALID_ARGUMENT", "CURSOR_UNKNOWN", message);
}

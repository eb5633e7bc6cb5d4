import { RuntimeError } from "../error.ts";
import type { StateEntry } from "./state-store.ts";

/**
 * How an entry lies in etcd: 8 bytes with the end of its life in milliseconds since the epoch, a byte that says so much, and
 * the value. The end comes first, so that the server can tell by comparing values whether an entry has expired.
 */
const headBytes = 9;
const layout = 1;
const never = 2n ** 64n - 1n;

/** What of etcd's entries is read here. */
interface Kept {
  readonly value: Uint8Array;
  readonly modRevision: bigint;
}

/** The bytes to keep for a value. */
export function encodeEntry(value: Uint8Array, expiresAtMs: number | undefined): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + value.byteLength);
  bytes.writeBigUInt64BE(expiresAtMs === undefined ? never : BigInt(Math.ceil(expiresAtMs)));
  bytes[headBytes - 1] = layout;
  bytes.set(value, headBytes);
  return bytes;
}

/** What lies between all entries that have expired by now and all that have not. */
export function expiredUpTo(nowMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes);
  bytes.writeBigUInt64BE(BigInt(Math.floor(nowMs)));
  bytes[headBytes - 1] = layout + 1;
  return bytes;
}

/** The entry, or undefined when it has expired. Throws when something else lies there. */
export function decodeEntry(store: string, key: string, kept: Kept | undefined): StateEntry | undefined {
  if (kept === undefined) return undefined;
  const bytes = Buffer.from(kept.value.buffer, kept.value.byteOffset, kept.value.byteLength);
  if (bytes.length < headBytes || bytes[headBytes - 1] !== layout) {
    const message = `what the etcd of '${store}' has under '${key}' is no entry of a state store; give the store a prefix of its own`;
    throw new RuntimeError("INTERNAL", "STATE_ENTRY_UNREADABLE", message);
  }
  const end = bytes.readBigUInt64BE();
  const expiresAtMs = end === never ? undefined : Number(end);
  if (expiresAtMs !== undefined && expiresAtMs <= Date.now()) return undefined;
  // A copy: the bytes are part of a message with many other entries.
  const value = Buffer.from(bytes.subarray(headBytes));
  const entry = { key, value, etag: etagOf(kept.modRevision, expiresAtMs) };
  return expiresAtMs === undefined ? entry : { ...entry, expiresAtMs };
}

/** The revision of the entry's last write, which no other write has, and the end of its life, which a write with the etag has to heed. */
const etagOf = (revision: bigint, expiresAtMs: number | undefined): string =>
  expiresAtMs === undefined ? String(revision) : `${revision}.${expiresAtMs}`;

/** The revision that an etag stands for, or undefined when it is none, or its entry has expired. */
export function revisionOf(etag: string): bigint | undefined {
  const [, revision, expiresAtMs] = /^([1-9]\d{0,17})(?:\.(\d{1,16}))?$/.exec(etag) ?? [];
  if (revision === undefined || (expiresAtMs !== undefined && Number(expiresAtMs) <= Date.now())) return undefined;
  return BigInt(revision);
}

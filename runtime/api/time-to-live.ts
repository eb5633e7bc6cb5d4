import { RuntimeError } from "../../components/error.ts";

const requestField = "ttlInSeconds";
const maxSeconds = 2 ** 31 - 1;

/**
 * The life that a write asks for with the metadata `ttlInSeconds`, in milliseconds. Undefined means for good: the field
 * is absent, or -1. Throws INVALID_ARGUMENT for anything but whole seconds above 0.
 */
export function ttlMsOf(metadata: Readonly<Record<string, string>>, key: string): number | undefined {
  const text = metadata[requestField];
  if (text === undefined || text === "-1") return undefined;
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds > 0 && seconds <= maxSeconds) return seconds * 1000;
  throw new RuntimeError(
    "INVALID_ARGUMENT",
    "TTL_INVALID",
    `the ${requestField} of '${key}' is '${text}'; expected whole seconds from 1 to ${maxSeconds}, or -1 for no limit`,
  );
}

/** The metadata of an entry that is read: `ttlExpireTime` in RFC 3339 when it will expire, else nothing. */
export function expiryMetadata(expiresAtMs: number | undefined): Record<string, string> {
  return expiresAtMs === undefined ? {} : { ttlExpireTime: new Date(expiresAtMs).toISOString() };
}

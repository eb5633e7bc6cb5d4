import { proxy_get_property, proxy_set_property } from "./abi";
import { AbiStatus } from "./abi-types";
import { decodePairs, Headers } from "./headers";
import { lendName, lentName, lentNameSize } from "./lent-text";
import { clearReturned, returnPointer, returnSize, takeReturned } from "./memory";
import { Status, statusOf } from "./status";
import { decodeBuffer, encodeText } from "./text";

/**
 * Attributes of the stream, the connection and the host, by path: `source.address`, `request.headers.x-user`. A segment
 * that contains a dot itself needs a path whose segments are separated by "\0". Each reader gives its fallback when the host
 * knows no such attribute, or has it in another type.
 */
export namespace property {
  /** The value as it came; null when the host knows no such attribute. */
  export function bytes(path: string): ArrayBuffer | null {
    lendPath(path);
    clearReturned();
    const answer = proxy_get_property(lentName, lentNameSize, returnPointer, returnSize);
    return answer == AbiStatus.Ok ? takeReturned() : null;
  }

  /** A text, such as `request.path`. */
  export function text(path: string): string | null {
    const value = bytes(path);
    return value === null ? null : decodeBuffer(value);
  }

  /** A text, or the fallback. */
  export function textOr(path: string, fallback: string): string {
    const value = text(path);
    return value === null ? fallback : value;
  }

  /** An integer, such as `source.port`. */
  export function integer(path: string, fallback: i64 = 0): i64 {
    const value = bytes(path);
    return value === null || value.byteLength != 8 ? fallback : load<i64>(changetype<usize>(value));
  }

  /** A point in time, such as `request.time`, in nanoseconds since 1970. */
  export function time(path: string, fallback: i64 = 0): i64 {
    return integer(path, fallback);
  }

  /** A span of time, such as `request.duration`, in nanoseconds. */
  export function duration(path: string, fallback: i64 = 0): i64 {
    return integer(path, fallback);
  }

  /** A floating point number. */
  export function number(path: string, fallback: f64 = 0): f64 {
    const value = bytes(path);
    return value === null || value.byteLength != 8 ? fallback : load<f64>(changetype<usize>(value));
  }

  /** A truth value, such as `connection.mtls`. */
  export function boolean(path: string, fallback: bool = false): bool {
    const value = bytes(path);
    return value === null || value.byteLength != 1 ? fallback : load<u8>(changetype<usize>(value)) != 0;
  }

  /** A map, such as `request.headers`; empty when there is none. */
  export function map(path: string): Headers {
    const value = bytes(path);
    return value === null ? new Headers() : decodePairs(value);
  }

  /** Keeps a text that the filters of the same stream read from now on; false as for `setBytes`. */
  export function set(path: string, value: string): bool {
    return setBytes(path, encodeText(value)).ok;
  }

  /**
   * Keeps bytes that the filters of the same stream read from now on. NOT_FOUND outside a stream, INVALID_ARGUMENT for one that was
   * declared read-only and is set, INTERNAL when the stream has no room for more.
   */
  export function setBytes(path: string, value: Uint8Array): Status {
    lendPath(path);
    const answer = proxy_set_property(lentName, lentNameSize, value.dataStart, value.byteLength);
    return statusOf(answer, "property '" + path + "'");
  }
}

/** Lends a path with NULs between its segments. */
function lendPath(path: string): void {
  lendName(path);
  if (path.includes("\0")) return;
  const end = lentName + lentNameSize;
  for (let at = lentName; at < end; at++) if (load<u8>(at) == 0x2e) store<u8>(at, 0);
}

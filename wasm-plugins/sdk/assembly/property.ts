import { proxy_get_property, proxy_set_property } from "./abi";
import { AbiStatus } from "./abi-types";
import { decodePairs, Headers } from "./headers";
import { clearReturned, returnPointer, returnSize, takeReturned } from "./memory";
import { decodeBuffer, encodeBuffer } from "./text";

/**
 * Attributes of the stream, the connection and the host, by path: `source.address`, `request.headers.x-user`. A segment
 * that contains a dot itself needs a path whose segments are separated by "\0".
 */
export namespace property {
  /** The value as it came; null when the host knows no such attribute. */
  export function bytes(path: string): ArrayBuffer | null {
    const segments = encodePath(path);
    clearReturned();
    const answer = proxy_get_property(changetype<usize>(segments), segments.byteLength, returnPointer, returnSize);
    return answer == AbiStatus.Ok ? takeReturned() : null;
  }

  /** A text, such as `request.path`. */
  export function text(path: string): string | null {
    const value = bytes(path);
    return value === null ? null : decodeBuffer(value);
  }

  /** An integer, such as `source.port`; also a time or a duration, in nanoseconds. */
  export function integer(path: string, fallback: i64 = 0): i64 {
    const value = bytes(path);
    return value === null || value.byteLength != 8 ? fallback : load<i64>(changetype<usize>(value));
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

  /** Keeps a text that later filters of the same stream read; false outside a stream. */
  export function set(path: string, value: string): bool {
    const segments = encodePath(path);
    const content = encodeBuffer(value);
    return proxy_set_property(
      changetype<usize>(segments), segments.byteLength, changetype<usize>(content), content.byteLength,
    ) == AbiStatus.Ok;
  }
}

function encodePath(path: string): ArrayBuffer {
  return encodeBuffer(path.includes("\0") ? path : path.replaceAll(".", "\0"));
}

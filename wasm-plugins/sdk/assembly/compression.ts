import { callForeignFunction } from "./foreign";
import { Result } from "./status";

/** Compression by the host, in the format of zlib (RFC 1950; what HTTP calls `deflate`). */
export namespace zlib {
  /** The bytes compressed. */
  export function compress(bytes: Uint8Array): Result<Uint8Array> {
    return callForeignFunction("compress", bytes);
  }

  /** What compressed bytes were. INVALID_ARGUMENT when they are in another format, INTERNAL beyond the host's limit (16 MiB). */
  export function uncompress(bytes: Uint8Array): Result<Uint8Array> {
    return callForeignFunction("uncompress", bytes);
  }
}

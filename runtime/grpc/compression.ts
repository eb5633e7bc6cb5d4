import { createRequire } from "node:module";
import type * as Zlib from "node:zlib";
import { RuntimeError } from "../../components/error.ts";

/** What `grpc-accept-encoding` says: encodings of messages that are taken. */
export const acceptedEncodings = "identity,deflate,gzip";

/** Whether messages of the encoding, a value of `grpc-encoding`, can be read. */
export const isAccepted = (encoding: string): boolean =>
  encoding === "identity" || encoding === "gzip" || encoding === "deflate";

/** Most of a program never sees a compressed message, so zlib is loaded with the first. */
const require = createRequire(import.meta.url);

/**
 * The message without its compression. Rejects with RESOURCE_EXHAUSTED when it would be larger than `maxBytes` (no more than
 * that is ever made), INTERNAL when it is not of that encoding.
 */
export function decompress(message: Uint8Array, encoding: string, maxBytes: number): Promise<Buffer> {
  const zlib: typeof Zlib = require("node:zlib");
  const options = { maxOutputLength: maxBytes };
  return new Promise((resolve, reject) => {
    const done = (error: NodeJS.ErrnoException | null, result: Buffer): void => {
      if (error === null) resolve(result);
      else reject(error.code === "ERR_BUFFER_TOO_LARGE" ? tooLarge(maxBytes) : malformed(encoding, error));
    };
    if (encoding === "gzip") zlib.gunzip(message, options, done);
    else if (encoding === "deflate") zlib.inflate(message, options, done);
    else reject(malformed(encoding, undefined));
  });
}

const tooLarge = (maxBytes: number): RuntimeError =>
  new RuntimeError(
    "RESOURCE_EXHAUSTED",
    "MESSAGE_TOO_LARGE",
    `a compressed message is larger than max (${maxBytes}) once it is decompressed; raise api.maxMessageBytes`,
  );

const malformed = (encoding: string, cause: unknown): RuntimeError =>
  new RuntimeError("INTERNAL", "MESSAGE_COMPRESSION", `a message flagged as compressed is not '${encoding}'`, {
    cause,
  });

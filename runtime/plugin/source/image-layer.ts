/** A layer of a container image: an archive as of POSIX (`pax`, `ustar`), of which one file matters. */
import { Readable, type Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { SourceError } from "./source-error.ts";

const blockBytes = 512;
const wanted = /^(?:\.?\/)?plugin\.wasm$/;

/** What an archive may have beside the module, as headers, padding and other files. */
const spareBytes = 16 * 1024 ** 2;

/** The file `plugin.wasm` at the root of a layer; undefined when there is none. Throws SourceError when it is broken, or too large. */
export async function moduleInLayer(
  layer: Uint8Array,
  compression: "gzip" | "zstd" | "none",
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const archive = new ArchiveReader(maxBytes);
  try {
    for await (const chunk of unpacked(layer, compression) as AsyncIterable<Buffer>) {
      archive.push(chunk);
      // The rest of a layer is not even decompressed.
      if (archive.module !== undefined) return archive.module;
    }
  } catch (error) {
    if (error instanceof SourceError) throw error;
    throw new SourceError(`the layer cannot be decompressed (${compression})`, { cause: error });
  }
  archive.end();
  return undefined;
}

function unpacked(layer: Uint8Array, compression: "gzip" | "zstd" | "none"): Readable {
  const bytes = Readable.from(pieces(layer), { objectMode: false });
  switch (compression) {
    case "gzip":
      return flow(bytes, createGunzip());
    case "zstd":
      return flow(bytes, createZstdDecompress());
    case "none":
      return bytes;
  }
}

const pieceBytes = 64 * 1024;

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

function flow(from: Readable, into: Transform): Readable {
  from.once("error", (error) => into.destroy(error));
  into.once("close", () => from.destroy());
  return from.pipe(into);
}

/** Takes an archive piece by piece and keeps nothing but the file that matters. */
class ArchiveReader {
  /** Once it is there as a whole. */
  module: Uint8Array<ArrayBuffer> | undefined;
  readonly #maxBytes: number;
  readonly #head = Buffer.alloc(blockBytes);
  #headBytes = 0;
  /** What is left of the present entry, with its padding. */
  #restBytes = 0;
  #file: { readonly bytes: Uint8Array<ArrayBuffer>; at: number } | undefined;
  #seenBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    this.#seenBytes += chunk.length;
    if (this.#seenBytes > this.#maxBytes + spareBytes) {
      throw new SourceError(`the layer has more than ${this.#maxBytes + spareBytes} bytes when it is decompressed`);
    }
    let at = 0;
    while (at < chunk.length && this.module === undefined) {
      at += this.#restBytes > 0 ? this.#takeContent(chunk, at) : this.#takeHead(chunk, at);
    }
  }

  /** Throws when the archive ends in the middle of an entry. */
  end(): void {
    if (this.#restBytes > 0 || this.#headBytes > 0) throw new SourceError("the layer is cut off");
  }

  #takeHead(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#head, this.#headBytes, at);
    this.#headBytes += taken;
    if (this.#headBytes === blockBytes) {
      this.#headBytes = 0;
      this.#readHead();
    }
    return taken;
  }

  #readHead(): void {
    const head = this.#head;
    if (head.every((byte) => byte === 0)) return;
    requireChecksum(head);
    const size = sizeOf(head);
    if (size > this.#maxBytes)
      throw new SourceError(`a file in the layer has ${size} bytes; at most ${this.#maxBytes} are taken`);
    this.#restBytes = Math.ceil(size / blockBytes) * blockBytes;
    const isFile = head[156] === 0x30 || head[156] === 0;
    if (isFile && wanted.test(nameOf(head))) {
      this.#file = { bytes: new Uint8Array(size), at: 0 };
      if (size === 0) this.module = this.#file.bytes;
    }
  }

  #takeContent(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#restBytes, chunk.length - at);
    this.#restBytes -= taken;
    const file = this.#file;
    if (file !== undefined) {
      const part = chunk.subarray(at, at + Math.min(taken, file.bytes.length - file.at));
      file.bytes.set(part, file.at);
      file.at += part.length;
      if (file.at === file.bytes.length) this.module = file.bytes;
    }
    return taken;
  }
}

function requireChecksum(head: Buffer): void {
  let sum = 0;
  for (let at = 0; at < blockBytes; at++) sum += at >= 148 && at < 156 ? 0x20 : (head[at] ?? 0);
  if (Number.parseInt(textOf(head, 148, 8).trim(), 8) !== sum)
    throw new SourceError("the layer is not an archive (tar)");
}

function sizeOf(head: Buffer): number {
  // GNU's form for what eleven octal digits cannot say, which is above every limit here.
  const size =
    (head[124] ?? 0) >= 0x80 ? Number.POSITIVE_INFINITY : Number.parseInt(textOf(head, 124, 12).trim() || "0", 8);
  if (!(size >= 0)) throw new SourceError("the layer is not an archive (tar)");
  return size;
}

function nameOf(head: Buffer): string {
  const prefix = textOf(head, 257, 5) === "ustar" ? textOf(head, 345, 155) : "";
  return prefix === "" ? textOf(head, 0, 100) : `${prefix}/${textOf(head, 0, 100)}`;
}

function textOf(head: Buffer, start: number, length: number): string {
  const [text = ""] = head.toString("latin1", start, start + length).split("\0");
  return text;
}

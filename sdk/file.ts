import type { ReadableStream } from "node:stream/web";
import {
  type FileInfo,
  type GetFileMetaResponse,
  type PutFileRequest,
  RuntimeService,
} from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { OutriggerError } from "./error.ts";
import { contentOf, Value, type Writable } from "./value.ts";

export interface FileName {
  readonly store: string;
  readonly name: string;
}

export interface PutFile extends FileName {
  /** All at once, or in pieces: what comes piece by piece is never in memory as a whole. */
  readonly content: Writable | AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;
  /** Given back by `stat` and `list`, where the store can keep it. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ListFiles {
  readonly store: string;
  /** Only names that begin with it; default all. */
  readonly prefix?: string;
  /** Most files that are asked for at once; default 1,000. */
  readonly pageSize?: number;
}

export interface FileEntry {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly modifiedAt: Date;
  readonly metadata: Readonly<Record<string, string>>;
}

const pieceBytes = 64 * 1024;

/** Files by name. They are streamed either way, and are there as a whole or not at all. */
export class FileClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Resolves once the file is there; when the content fails or the call ends, what was there before still is. */
  async put({ store, name, content, metadata = {} }: PutFile, options?: CallOptions): Promise<void> {
    const first = { storeName: store, name, data: new Uint8Array(), metadata: { ...metadata } };
    await this.#channel.clientStream(RuntimeService.putFile, requestsOf(first, piecesOf(content)), options);
  }

  /** The content piece by piece; the runtime waits for who reads slowly. Leaving the loop ends the call. Fails with NOT_FOUND when there is no such file. */
  async *get({ store, name }: FileName, options?: CallOptions): AsyncGenerator<Uint8Array, void> {
    const request = { storeName: store, name, metadata: {} };
    for await (const { data } of this.#channel.serverStream(RuntimeService.getFile, request, options)) yield data;
  }

  /** The content as a whole; undefined when there is no such file. */
  async read(file: FileName, options?: CallOptions): Promise<Value | undefined> {
    return unlessMissing(async () => new Value(Buffer.concat(await Array.fromAsync(this.get(file, options)))));
  }

  /** What is known of the file; undefined when there is none. */
  async stat({ store, name }: FileName, options?: CallOptions): Promise<FileEntry | undefined> {
    const request = { request: { storeName: store, name, metadata: {} } };
    return unlessMissing(async () => {
      return statOf(name, await this.#channel.unary(RuntimeService.getFileMeta, request, options));
    });
  }

  /** The files in the order of their names, asked for page by page as the loop goes on. */
  async *list({ store, prefix = "", pageSize = 0 }: ListFiles, options?: CallOptions): AsyncGenerator<FileEntry, void> {
    const request = { storeName: store, name: prefix, metadata: {} };
    let marker = "";
    do {
      const page = await this.#channel.unary(RuntimeService.listFile, { request, pageSize, marker }, options);
      yield* page.files.map(entryOf);
      marker = page.isTruncated ? page.marker : "";
    } while (marker !== "");
  }

  /** Deleting what does not exist succeeds. */
  async delete({ store, name }: FileName, options?: CallOptions): Promise<void> {
    const request = { request: { storeName: store, name, metadata: {} } };
    await this.#channel.unary(RuntimeService.delFile, request, options);
  }
}

/** The file is named once; what follows is its data. */
async function* requestsOf(
  first: PutFileRequest,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<PutFileRequest, void> {
  yield first;
  for await (const data of pieces) yield { storeName: "", name: "", data, metadata: {} };
}

async function* piecesOf(content: PutFile["content"]): AsyncGenerator<Uint8Array, void> {
  const chunks = typeof content === "object" && Symbol.asyncIterator in content ? content : [contentOf(content).bytes];
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += pieceBytes) yield chunk.subarray(start, start + pieceBytes);
  }
}

async function unlessMissing<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof OutriggerError && error.reason === "FILE_NOT_FOUND") return undefined;
    throw error;
  }
}

function statOf(name: string, { size, lastModified, response }: GetFileMetaResponse): FileEntry {
  const values = Object.entries(response?.metadata ?? {}).map(([key, { value }]) => [key, value.join(",")]);
  return { name, size: Number(size), modifiedAt: new Date(lastModified), metadata: Object.fromEntries(values) };
}

function entryOf({ fileName, size, lastModified, metadata }: FileInfo): FileEntry {
  return { name: fileName, size: Number(size), modifiedAt: new Date(lastModified), metadata };
}

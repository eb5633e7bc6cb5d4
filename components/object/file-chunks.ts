import type { FileHandle } from "node:fs/promises";
import type { CallContext } from "../component.ts";

const chunkBytes = 64 * 1024;

/** The bytes of an open file from its beginning, read when they are asked for; closes it at the end, or when the call ends. */
export class FileChunks implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #file: FileHandle;
  readonly #signal: AbortSignal;
  readonly #abort: () => void;
  #closing: Promise<void> | undefined;

  constructor(file: FileHandle, { signal }: Pick<CallContext, "signal">) {
    this.#file = file;
    this.#signal = signal;
    this.#abort = () => void this.#close().catch(() => undefined);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#signal.throwIfAborted();
    if (this.#closing !== undefined) return { done: true, value: undefined };
    try {
      const buffer = Buffer.allocUnsafe(chunkBytes);
      const { bytesRead } = await this.#file.read(buffer, 0, chunkBytes);
      if (bytesRead > 0) return { done: false, value: buffer.subarray(0, bytesRead) };
    } catch (error) {
      await this.#close();
      throw error;
    }
    return this.return();
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.#close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(): Promise<void> {
    this.#signal.removeEventListener("abort", this.#abort);
    this.#closing ??= this.#file.close();
    return this.#closing;
  }
}

import { Readable } from "node:stream";
import type { S3Connection } from "../clients/s3.ts";
import { withinCall } from "../clients/within-call.ts";
import type { CallContext } from "../component.ts";

/** The bytes of an answer, read as they are asked for; lets go of the connection at the end, or when the call ends. */
export class S3Chunks implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #body: Readable;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #connection: S3Connection;
  readonly #call: Pick<CallContext, "signal">;
  readonly #abort: () => void;

  constructor(body: Readable, connection: S3Connection, call: Pick<CallContext, "signal">) {
    this.#body = body;
    this.#connection = connection;
    this.#call = call;
    this.#chunks = body[Symbol.asyncIterator]();
    this.#abort = () => body.destroy();
    // Whoever reads is told; nobody may read any more.
    body.on("error", () => undefined);
    call.signal.addEventListener("abort", this.#abort, { once: true });
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { settings, name } = this.#connection;
    const limits = { longestMs: settings.replyTimeoutMs, server: `the S3 of '${name}'` };
    try {
      const read = await withinCall(this.#chunks.next(), this.#call, limits);
      return read.done === true ? await this.return() : { done: false, value: read.value };
    } catch (error) {
      await this.return();
      throw this.#connection.failed(error, this.#call);
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#call.signal.removeEventListener("abort", this.#abort);
    this.#body.destroy();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

export const isReadable = (body: unknown): body is Readable => body instanceof Readable;

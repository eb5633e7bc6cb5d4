import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { RuntimeError } from "../error.ts";
import { unpackOutcomes } from "./sqlite-codec.ts";
import type { Packed, SqliteFile, SqliteOutcome, SqliteReply, SqliteRequest } from "./sqlite-messages.ts";

/** The tree runs as .ts and, compiled, as .js. */
const workerUrl = new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url);

/** A thread that has a database file open. It serves one batch at a time, and is of no use once `lost` is settled. */
export class SqliteThread {
  readonly #worker: Worker;
  readonly #lost = Promise.withResolvers<RuntimeError>();
  #error: RuntimeError | undefined;
  #waiting: { resolve(reply: SqliteReply): void; reject(error: Error): void } | undefined;

  /** Resolves once the file is open; rejects with a RuntimeError when it cannot be had. */
  static async start(file: SqliteFile): Promise<SqliteThread> {
    const thread = new SqliteThread(file);
    const reply = await thread.#reply();
    if (reply.kind !== "refused") return thread;
    await thread.lost;
    throw new RuntimeError(reply.failure.code, reply.failure.reason, reply.failure.message);
  }

  private constructor(file: SqliteFile) {
    this.#worker = new Worker(workerUrl, { workerData: file });
    this.#worker.on("message", (reply: SqliteReply) => {
      this.#waiting?.resolve(reply);
      this.#waiting = undefined;
    });
    let why = "has ended";
    this.#worker.on("error", (error) => {
      why = `failed: ${error instanceof Error ? error.message : String(error)}`;
    });
    this.#worker.on("exit", () => this.#lose(`the thread of database file '${file.path}' ${why}`));
  }

  /** Resolves with the reason when the thread has ended, however it came to that. */
  get lost(): Promise<RuntimeError> {
    return this.#lost.promise;
  }

  /** Resolves once the batch is committed; rejects when the thread ends before that, and nobody knows what was written. */
  async run(calls: Packed): Promise<SqliteOutcome[]> {
    this.#post({ kind: "run", calls }, [calls.bytes.buffer]);
    const reply = await this.#reply();
    if (reply.kind !== "ran") throw new TypeError(`the thread of a database answered a batch with '${reply.kind}'`);
    return unpackOutcomes(reply.outcomes);
  }

  /** Closes the file and ends the thread. */
  async close(): Promise<void> {
    this.#post({ kind: "close" });
    await this.lost;
  }

  #post(request: SqliteRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  /** The next reply; a thread that is lost has none. */
  #reply(): Promise<SqliteReply> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #lose(message: string): void {
    this.#error = new RuntimeError("UNAVAILABLE", "DATABASE_LOST", message);
    this.#waiting?.reject(this.#error);
    this.#lost.resolve(this.#error);
  }
}

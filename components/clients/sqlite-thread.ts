import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";
import { unpackOutcomes } from "./sqlite-codec.ts";
import type {
  Packed,
  SqliteFile,
  SqliteOutcome,
  SqliteReply,
  SqliteRequest,
  SqliteThreadRequest,
} from "./sqlite-messages.ts";

/** The tree runs as .ts and, compiled, as .js. */
const workerUrl = new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url);

/**
 * The thread that has database files open, as many as there are: each thread takes 8 MB. It starts with the first file, ends
 * with the last, and takes the batches of all of them in turns.
 */
export class SqliteThread implements AsyncDisposable {
  #running: RunningThread | undefined;

  /** Resolves once the file is open; rejects with a RuntimeError when it cannot be had. */
  async open(file: SqliteFile): Promise<SqliteConnection> {
    const running = this.#running ?? this.#start();
    return await running.open(file);
  }

  /** Ends the thread; files that are still open are closed by that. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.end();
  }

  #start(): RunningThread {
    const running = new RunningThread(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}

/** A file that is open in the thread. It serves one batch at a time, and is of no use once `lost` is settled. */
export interface SqliteConnection {
  /** Resolves with the reason when the file is closed or its thread has ended, however it came to that. */
  readonly lost: Promise<RuntimeError>;
  /** Resolves once the batch is committed; rejects when the thread ends before that, and nobody knows what was written. */
  run(calls: Packed): Promise<SqliteOutcome[]>;
  /** Closes the file. */
  close(): Promise<void>;
}

/** One life of the thread. */
class RunningThread {
  readonly #worker = new Worker(workerUrl, { execArgv: [] });
  readonly #files = new Map<number, OpenedFile>();
  readonly #exited: Promise<void>;
  readonly #onEnd: () => void;
  #nextFile = 0;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
    let why = "has ended";
    this.#worker.on("error", (error) => {
      why = `failed: ${messageOf(error)}`;
    });
    this.#worker.on("message", ({ file, reply }: { file: number; reply: SqliteReply }) =>
      this.#files.get(file)?.take(reply),
    );
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        onEnd();
        for (const file of this.#files.values()) file.lose(why);
        resolve();
      });
    });
  }

  async open(file: SqliteFile): Promise<SqliteConnection> {
    const number = this.#nextFile++;
    const opened = new OpenedFile(file.path, (request, transfer) => this.#post({ file: number, request }, transfer));
    this.#files.set(number, opened);
    void opened.lost.then(() => this.#forget(number));
    const reply = await opened.ask({ kind: "open", file });
    if (reply.kind === "opened") return opened;
    opened.lose("is not open");
    if (reply.kind !== "refused")
      throw new TypeError(`the thread of databases answered an opening with '${reply.kind}'`);
    const { code, reason, message } = reply.failure;
    throw new RuntimeError(code, reason, message);
  }

  /** Resolves once the thread is gone. */
  async end(): Promise<void> {
    this.#onEnd();
    this.#post({ kind: "end" });
    await this.#exited;
  }

  #post(message: SqliteThreadRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #forget(number: number): void {
    this.#files.delete(number);
    if (this.#files.size === 0) void this.end();
  }
}

class OpenedFile implements SqliteConnection {
  readonly #path: string;
  readonly #post: (request: SqliteRequest, transfer: ArrayBuffer[]) => void;
  readonly #lost = Promise.withResolvers<RuntimeError>();
  #error: RuntimeError | undefined;
  #waiting: { resolve(reply: SqliteReply): void; reject(error: Error): void } | undefined;

  constructor(path: string, post: (request: SqliteRequest, transfer: ArrayBuffer[]) => void) {
    this.#path = path;
    this.#post = post;
  }

  get lost(): Promise<RuntimeError> {
    return this.#lost.promise;
  }

  async run(calls: Packed): Promise<SqliteOutcome[]> {
    const reply = await this.ask({ kind: "run", calls }, [calls.bytes.buffer]);
    if (reply.kind !== "ran") throw new TypeError(`the thread of databases answered a batch with '${reply.kind}'`);
    return unpackOutcomes(reply.outcomes);
  }

  async close(): Promise<void> {
    await this.ask({ kind: "close" });
    this.lose("is closed");
  }

  /** Resolves to the reply; a file that is lost gives none. */
  ask(request: SqliteRequest, transfer: ArrayBuffer[] = []): Promise<SqliteReply> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#post(request, transfer);
    });
  }

  take(reply: SqliteReply): void {
    this.#waiting?.resolve(reply);
    this.#waiting = undefined;
  }

  lose(why: string): void {
    if (this.#error !== undefined) return;
    this.#error = new RuntimeError(
      "UNAVAILABLE",
      "DATABASE_LOST",
      `the thread of database file '${this.#path}' ${why}`,
    );
    this.#waiting?.reject(this.#error);
    this.#lost.resolve(this.#error);
  }
}

import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import type { OpenContext } from "../component.ts";
import { type ErrorCode, RuntimeError } from "../error.ts";

/** What the worker is started with. */
export interface SqliteWorkerData {
  readonly file: string;
  /** URL of the module whose `prepare` makes the operations. */
  readonly statements: string;
}

/** What came of one operation in the worker. */
export type SqliteOutcome =
  | { readonly value: unknown }
  | { readonly failure: { readonly code: ErrorCode; readonly reason: string; readonly message: string } };

export interface SqliteOptions {
  /** The file; relative to the data directory. */
  readonly path: string;
  /** The backend's own URL (`import.meta.url`); its statements lie beside it, in the file of that name. */
  readonly beside: string;
  readonly statements: string;
  readonly context: OpenContext;
}

interface Waiting {
  readonly operation: object;
  readonly transfer: readonly ArrayBuffer[];
  readonly signal: AbortSignal;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const maxWaiting = 10_000;
const maxBatch = 1_000;

/**
 * One SQLite file and the worker thread that owns it. Operations that wait together run in one transaction and are answered
 * after its COMMIT (synchronous=FULL), so that an fsync is shared and never blocks the main thread.
 */
export class SqliteFile implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #name: string;
  #waiting: Waiting[] = [];
  #running: readonly Waiting[] = [];
  #lost: Error | undefined;

  /** Rejects with UNAVAILABLE when the file cannot be opened, and FAILED_PRECONDITION when someone else has it open. */
  static async open({ path, beside, statements, context }: SqliteOptions): Promise<SqliteFile> {
    const file = resolve(context.dataDirectory, path);
    await mkdir(dirname(file), { recursive: true });
    // Sources run as TypeScript, a build as JavaScript: the neighbours have the ending of the file that names them.
    const neighbour = (name: string, url: string): URL => new URL(`./${name}${url.slice(url.lastIndexOf("."))}`, url);
    const workerData: SqliteWorkerData = { file, statements: neighbour(statements, beside).href };
    const worker = new Worker(neighbour("sqlite-worker", import.meta.url), { workerData });
    const [ready] = await Promise.race([
      new Promise<[SqliteOutcome]>((done) => worker.once("message", (message: SqliteOutcome) => done([message]))),
      new Promise<never>((_, reject) => worker.once("error", reject)),
    ]);
    if ("failure" in ready) {
      await worker.terminate();
      const { code, reason, message } = ready.failure;
      throw new RuntimeError(code, reason, `component '${context.name}': ${message}`);
    }
    return new SqliteFile(worker, context.name);
  }

  private constructor(worker: Worker, name: string) {
    this.#worker = worker;
    this.#name = name;
    worker.unref();
    worker.on("message", (outcomes: readonly SqliteOutcome[]) => this.#answered(outcomes));
    worker.on("error", (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    worker.on("exit", () => this.#fail(new Error("the worker ended")));
  }

  /** Runs one operation of the statements; buffers in `transfer` are given away. An abort before it was begun takes it out. */
  run<T>(operation: object, signal: AbortSignal, transfer: readonly ArrayBuffer[] = []): Promise<T> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      if (this.#lost !== undefined) throw this.#unavailable();
      if (this.#waiting.length >= maxWaiting) {
        throw new RuntimeError(
          "RESOURCE_EXHAUSTED",
          "STORE_BUSY",
          `component '${this.#name}' has ${maxWaiting} operations waiting`,
        );
      }
      this.#waiting.push({ operation, transfer, signal, resolve: resolve as (value: unknown) => void, reject });
      // The rest of this turn may bring more for the same transaction.
      if (this.#waiting.length === 1 && this.#running.length === 0) setImmediate(() => this.#send());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#lost === undefined && this.#running.length + this.#waiting.length > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ended = new Promise((resolve) => this.#worker.once("exit", resolve));
    if (this.#lost !== undefined) return;
    this.#worker.ref();
    this.#worker.postMessage("close");
    await ended;
  }

  #send(): void {
    if (this.#running.length > 0 || this.#lost !== undefined) return;
    const wanted: Waiting[] = [];
    const taken = this.#waiting.splice(0, maxBatch);
    for (const one of taken) {
      if (one.signal.aborted) one.reject(new DOMException("the call was cancelled", "AbortError"));
      else wanted.push(one);
    }
    if (wanted.length > 0) {
      this.#running = wanted;
      this.#worker.ref();
      this.#worker.postMessage(
        wanted.map(({ operation }) => operation),
        wanted.flatMap(({ transfer }) => transfer),
      );
    } else if (this.#waiting.length > 0) this.#send();
  }

  #answered(outcomes: readonly SqliteOutcome[]): void {
    const answered = this.#running;
    this.#running = [];
    this.#worker.unref();
    for (const [index, outcome] of outcomes.entries()) {
      const one = answered[index];
      if ("value" in outcome) one?.resolve(outcome.value);
      else one?.reject(new RuntimeError(outcome.failure.code, outcome.failure.reason, outcome.failure.message));
    }
    if (this.#waiting.length > 0) this.#send();
  }

  #fail(error: Error): void {
    this.#lost ??= error;
    for (const { reject } of [...this.#running, ...this.#waiting]) reject(this.#unavailable());
    this.#running = [];
    this.#waiting = [];
  }

  #unavailable(): RuntimeError {
    return new RuntimeError("UNAVAILABLE", "STORE_LOST", `component '${this.#name}' has lost its database worker`, {
      cause: this.#lost,
    });
  }
}

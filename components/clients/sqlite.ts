import type { ComponentLog } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { CallPacker } from "./sqlite-codec.ts";
import type { SqliteFailure, SqliteOutcome, SqliteResult, SqliteStep, SqliteValue } from "./sqlite-messages.ts";
import { type SqliteConnection, SqliteThread } from "./sqlite-thread.ts";

export interface SqliteOptions<Statement extends string> {
  /** Absolute; its directory is made when it is missing. */
  readonly path: string;
  /** Tables and indexes, each `IF NOT EXISTS`. */
  readonly schema: string;
  /** Every statement there is, by the name under which it is called. */
  readonly statements: Readonly<Record<Statement, string>>;
  /** Most bytes of the file; default as many as the disk has. */
  readonly maxBytes?: number | undefined;
  readonly log: ComponentLog;
  /** Where the file is opened beside others; default a thread of its own. */
  readonly thread?: SqliteThread | undefined;
}

/** A statement with its values, undefined for NULL. With `mustChange`, the transaction is refused if it changes nothing. */
export interface SqliteOperation<Statement extends string> {
  readonly statement: Statement;
  readonly values: readonly SqliteValue[];
  readonly mustChange?: boolean;
}

/** All steps were applied, or none because one of them, counted from 0, had to change something and did not. */
export type TransactionOutcome =
  | { readonly applied: true; readonly results: readonly SqliteResult[] }
  | { readonly applied: false; readonly refusedStep: number };

/** Opens a database file in another thread; rejects when it has another owner, in this process or elsewhere. */
export async function openSqlite<Statement extends string>(
  options: SqliteOptions<Statement>,
): Promise<SqliteDatabase<Statement>> {
  const { path, schema, statements, maxBytes, thread = new SqliteThread() } = options;
  const sql = Object.values<string>(statements);
  const file = { path, schema, statements: sql, ...(maxBytes === undefined ? {} : { maxBytes }) };
  const open = (): Promise<SqliteConnection> => thread.open(file);
  return new SqliteDatabase(path, Object.keys(statements), open, await open(), options.log);
}

/** Calls of one transaction. More wait for the next, so that a batch neither takes long to copy nor to apply. */
const batchLimit = { calls: 512, bytes: 4 * 1024 ** 2 };
/** What may wait; a disk that takes less than is written must not fill the memory. */
const waitingLimit = { calls: 100_000, bytes: 64 * 1024 ** 2 };

/**
 * A database file. Calls are served in order; those that wait together become one transaction and settle after its
 * COMMIT (group commit), since what costs is the sync of the disk. A call that fails does not affect its neighbours.
 */
export class SqliteDatabase<Statement extends string> implements AsyncDisposable {
  readonly #path: string;
  readonly #open: () => Promise<SqliteConnection>;
  readonly #positions: ReadonlyMap<string, number>;
  readonly #log: ComponentLog;
  readonly #waiting: Batch[] = [];
  #waitingCalls = 0;
  #waitingBytes = 0;
  #connection: SqliteConnection | undefined;
  #serving: Promise<void> | undefined;
  #closed = false;

  constructor(
    path: string,
    names: readonly string[],
    open: () => Promise<SqliteConnection>,
    connection: SqliteConnection,
    log: ComponentLog,
  ) {
    this.#path = path;
    this.#open = open;
    this.#positions = new Map(names.map((name, position) => [name, position]));
    this.#log = log;
    this.#adopt(connection);
  }

  /** Runs one statement; resolves after COMMIT. Rejects with the signal's reason, then unwritten unless it had begun. */
  async run(statement: Statement, values: readonly SqliteValue[], signal?: AbortSignal): Promise<SqliteResult> {
    const outcome = await this.transact([{ statement, values }], signal);
    return (outcome.applied ? outcome.results[0] : undefined) ?? { changes: 0, rows: [] };
  }

  /** Runs statements in order, all or none of them; otherwise as `run`. */
  async transact(operations: readonly SqliteOperation<Statement>[], signal?: AbortSignal): Promise<TransactionOutcome> {
    const outcome = await this.#enqueue(
      operations.map((operation) => this.#step(operation)),
      signal,
    );
    if (outcome.kind === "failed") throw asError(outcome.failure);
    if (outcome.kind === "refused") return { applied: false, refusedStep: outcome.step };
    return { applied: true, results: outcome.results };
  }

  /** Serves what waits, then closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#serving;
    await this.#connection?.close();
  }

  #step({ statement, values, mustChange = false }: SqliteOperation<Statement>): SqliteStep {
    const position = this.#positions.get(statement);
    if (position === undefined) throw new RangeError(`there is no statement '${statement}'`);
    return { statement: position, mustChange, values };
  }

  #enqueue(steps: readonly SqliteStep[], signal: AbortSignal | undefined): Promise<SqliteOutcome> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#failure("UNAVAILABLE", "DATABASE_CLOSED", "is closed");
    if (this.#waitingCalls >= waitingLimit.calls || this.#waitingBytes >= waitingLimit.bytes) {
      const why = `has ${this.#waitingCalls} calls waiting, more than its disk can take; call it less often`;
      throw this.#failure("RESOURCE_EXHAUSTED", "DATABASE_OVERLOADED", why);
    }
    const batch = this.#openBatch();
    const before = batch.byteLength;
    const settled = batch.add(steps, signal);
    this.#waitingCalls++;
    this.#waitingBytes += batch.byteLength - before;
    this.#serving ??= this.#serve();
    return settled;
  }

  #openBatch(): Batch {
    const last = this.#waiting.at(-1);
    if (last !== undefined && !last.isFull) return last;
    const batch = new Batch();
    this.#waiting.push(batch);
    return batch;
  }

  async #serve(): Promise<void> {
    // The requests that arrive in this turn of the event loop go together.
    await new Promise(setImmediate);
    for (let batch = this.#waiting.shift(); batch !== undefined; batch = this.#waiting.shift()) {
      this.#waitingCalls -= batch.count;
      this.#waitingBytes -= batch.byteLength;
      try {
        const connection = this.#connection ?? this.#adopt(await this.#open());
        batch.settle(await connection.run(batch.begin()));
      } catch (error) {
        batch.fail(error);
      }
      // Whoever waited for this batch may have more to write: let it join the next.
      if (this.#waiting.length === 0) await new Promise(setImmediate);
    }
    this.#serving = undefined;
  }

  /** A connection whose thread is lost is replaced when the next batch needs one. */
  #adopt(connection: SqliteConnection): SqliteConnection {
    this.#connection = connection;
    void connection.lost.then((error) => {
      this.#connection = undefined;
      if (!this.#closed) this.#log.error({ err: error }, "a database lost its thread and is opened again");
    });
    return connection;
  }

  #failure(code: "UNAVAILABLE" | "RESOURCE_EXHAUSTED", reason: string, why: string): RuntimeError {
    return new RuntimeError(code, reason, `the database file '${this.#path}' ${why}`);
  }
}

/** Calls that are to become one transaction. */
class Batch {
  readonly #packer = new CallPacker();
  readonly #pending: Pending[] = [];
  #hasBegun = false;

  get count(): number {
    return this.#packer.count;
  }

  get byteLength(): number {
    return this.#packer.byteLength;
  }

  get isFull(): boolean {
    return this.count >= batchLimit.calls || this.byteLength >= batchLimit.bytes;
  }

  /** Copies the call; the promise settles with the batch, or when the signal aborts. */
  add(steps: readonly SqliteStep[], signal: AbortSignal | undefined): Promise<SqliteOutcome> {
    const place = this.#packer.add(steps);
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        if (!this.#hasBegun) this.#packer.cancel(place);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#pending.push({ resolve, reject, release: () => signal?.removeEventListener("abort", abort) });
    });
  }

  begin(): ReturnType<CallPacker["finish"]> {
    this.#hasBegun = true;
    return this.#packer.finish();
  }

  settle(outcomes: readonly SqliteOutcome[]): void {
    for (const [index, { resolve, reject, release }] of this.#pending.entries()) {
      release();
      const outcome = outcomes[index];
      if (outcome === undefined) reject(new RangeError("the thread of a database file left a call unanswered"));
      else resolve(outcome);
    }
  }

  fail(error: unknown): void {
    for (const { reject, release } of this.#pending) {
      release();
      reject(error);
    }
  }
}

interface Pending {
  resolve(outcome: SqliteOutcome): void;
  reject(error: unknown): void;
  release(): void;
}

const asError = ({ code, reason, message }: SqliteFailure): RuntimeError => new RuntimeError(code, reason, message);

import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { makeFolderSync } from "./make-folder.ts";
import { failureOf, isBusy, Refusal } from "./sqlite-failure.ts";
import type { SqliteFile, SqliteOutcome, SqliteResult, SqliteStep, SqliteValue } from "./sqlite-messages.ts";

/** "OUTR", in the header of every file that is ours. */
const applicationId = 0x4f555452;
const formatVersion = 1;
/** How long an opener waits for an owner that is just ending. */
const openWaitMs = 500;
const openPollMs = 25;
/** What the log may keep of the disk after a burst of writes. */
const maxIdleLogBytes = 64 * 1024 ** 2;

/** A database file that is open in this thread, and in no other anywhere. */
export class OpenFile {
  readonly #file: SqliteFile;
  readonly #database: DatabaseSync;
  readonly #statements: readonly { readonly statement: StatementSync; readonly hasRows: boolean }[];

  /** Throws when the file has another owner, is something else, or cannot be reached. */
  constructor(file: SqliteFile) {
    this.#file = file;
    makeFolderSync(dirname(file.path));
    this.#database = openExclusively(file.path);
    try {
      limitSize(this.#database, file.maxBytes);
      this.#database.exec(file.schema);
      this.#statements = file.statements.map((sql) => {
        const statement = this.#database.prepare(sql);
        statement.setReturnArrays(true);
        return { statement, hasRows: statement.columns().length > 0 };
      });
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Runs the calls as one transaction; when that is lost as a whole, each on its own, so that one does not harm another. */
  run(calls: readonly (readonly SqliteStep[])[]): SqliteOutcome[] {
    try {
      return this.#transaction(() => calls.map((call) => this.#call(call)));
    } catch {
      return calls.map((call) => this.#alone(call));
    }
  }

  #alone(call: readonly SqliteStep[]): SqliteOutcome {
    try {
      return this.#transaction(() => this.#call(call));
    } catch (error) {
      return { kind: "failed", failure: failureOf(error, this.#file.path) };
    }
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec("BEGIN");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Throws only when the transaction is gone; every other failure is an outcome and leaves no trace. */
  #call(call: readonly SqliteStep[]): SqliteOutcome {
    if (call.length > 1) this.#database.exec("SAVEPOINT one_call");
    let outcome: SqliteOutcome;
    try {
      outcome = this.#steps(call);
    } catch (error) {
      if (!this.#database.isTransaction) throw error;
      outcome = { kind: "failed", failure: failureOf(error, this.#file.path) };
    }
    if (call.length > 1) {
      if (outcome.kind !== "done") this.#database.exec("ROLLBACK TO one_call");
      this.#database.exec("RELEASE one_call");
    }
    return outcome;
  }

  #steps(call: readonly SqliteStep[]): SqliteOutcome {
    const results: SqliteResult[] = [];
    for (const [step, { statement, mustChange, values }] of call.entries()) {
      const result = this.#step(statement, values);
      if (mustChange && result.changes === 0) return { kind: "refused", step };
      results.push(result);
    }
    return { kind: "done", results };
  }

  #step(index: number, values: readonly SqliteValue[]): SqliteResult {
    const known = this.#statements[index];
    if (known === undefined) throw new RangeError(`there is no statement ${index}`);
    const parameters = values.map((value) => value ?? null);
    if (!known.hasRows) return { changes: Number(known.statement.run(...parameters).changes), rows: [] };
    const rows = known.statement.all(...parameters).map(asValues);
    return { changes: rows.length, rows };
  }
}

/** Opens the file, waiting a little for an owner that is just ending. */
function openExclusively(path: string): DatabaseSync {
  for (let waitedMs = 0; ; waitedMs += openPollMs) {
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      claim(database, path);
      return database;
    } catch (error) {
      database.close();
      if (!isBusy(error) || waitedMs >= openWaitMs) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, openPollMs);
    }
  }
}

/**
 * Takes a lock that no other connection gets past, in this process or another; the system takes it back from a process
 * that dies. Throws for a file of something else, before anything is written to it, or of a later format.
 */
function claim(database: DatabaseSync, path: string): void {
  const read = (sql: string): unknown => Object.values(database.prepare(sql).get() ?? {})[0];
  // Before the log is first used: then its index lies in memory, and nobody can share it.
  database.exec("PRAGMA locking_mode=EXCLUSIVE");
  const id = read("PRAGMA application_id");
  if (id !== applicationId && (id !== 0 || read("SELECT count(*) FROM sqlite_schema") !== 0)) {
    throw new Refusal("DATABASE_FOREIGN", `'${path}' is a database of another program; give a path of its own`);
  }
  if (Number(read("PRAGMA user_version")) > formatVersion) {
    const message = `'${path}' was written by a newer version of Outrigger; run that one, or give another path`;
    throw new Refusal("DATABASE_TOO_NEW", message);
  }
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; BEGIN IMMEDIATE; COMMIT");
  database.exec(`PRAGMA journal_size_limit=${maxIdleLogBytes}`);
  if (id !== applicationId) {
    database.exec(`PRAGMA application_id=${applicationId}; PRAGMA user_version=${formatVersion}`);
  }
}

function limitSize(database: DatabaseSync, maxBytes: number | undefined): void {
  if (maxBytes === undefined) return;
  const [pageBytes] = Object.values(database.prepare("PRAGMA page_size").get() ?? {});
  database.exec(`PRAGMA max_page_count=${Math.ceil(maxBytes / Number(pageBytes))}`);
}

function asValues(row: unknown): SqliteValue[] {
  if (!Array.isArray(row)) throw new TypeError("a row is not an array");
  return row.map((value: unknown) => {
    if (value === null) return undefined;
    if (typeof value === "string" || typeof value === "number" || typeof value === "bigint") return value;
    if (value instanceof Uint8Array) return value;
    throw new TypeError(`a column has a value of type ${typeof value}`);
  });
}

/** The thread that owns one SQLite file: takes batches of operations, runs each batch in one transaction, answers after COMMIT. */
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { RuntimeError } from "../error.ts";
import type { SqliteOutcome, SqliteWorkerData } from "./sqlite.ts";

/** What a module of statements exports: makes its tables, and the function that runs one of its operations whole or not at all. */
export type Prepare = (database: DatabaseSync) => (operation: never) => unknown;

const port = parentPort;
if (port === null) throw new Error("sqlite-worker runs in a worker thread only");
const { file, statements } = workerData as SqliteWorkerData;

try {
  const { prepare } = (await import(statements)) as { prepare: Prepare };
  const database = openExclusively(file);
  const run = prepare(database) as (operation: unknown) => unknown;
  port.on("message", (message: readonly unknown[] | "close") => {
    if (message !== "close") return port.postMessage(runBatch(database, run, message));
    database.close();
    port.close();
  });
  port.postMessage({ value: "ready" } satisfies SqliteOutcome);
} catch (error) {
  port.postMessage({ failure: openFailure(error) } satisfies SqliteOutcome);
}

/** Holds the file's lock for as long as the process lives, which the system ends with it, however it ends. */
function openExclusively(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 1_000 });
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("BEGIN IMMEDIATE; COMMIT");
  return database;
}

function openFailure(error: unknown): { code: "FAILED_PRECONDITION" | "UNAVAILABLE"; reason: string; message: string } {
  const text = error instanceof Error ? error.message : String(error);
  if (/locked|busy/i.test(text)) {
    return {
      code: "FAILED_PRECONDITION",
      reason: "FILE_IN_USE",
      message: `the database ${file} is in use by another owner; give each its own path`,
    };
  }
  return { code: "UNAVAILABLE", reason: "FILE_NOT_OPENED", message: `the database ${file} cannot be opened: ${text}` };
}

function runBatch(
  database: DatabaseSync,
  run: (operation: unknown) => unknown,
  operations: readonly unknown[],
): SqliteOutcome[] {
  try {
    database.exec("BEGIN");
    const outcomes = operations.map((operation) => runOne(database, run, operation));
    database.exec("COMMIT");
    return outcomes;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    const failure = failureOf(error);
    return operations.map(() => ({ failure }));
  }
}

/** An operation that is refused leaves its neighbours in the batch as they are; its own statements see to it that nothing of it stays. */
function runOne(database: DatabaseSync, run: (operation: unknown) => unknown, operation: unknown): SqliteOutcome {
  try {
    return { value: run(operation) };
  } catch (error) {
    if (!database.isTransaction) throw error;
    return { failure: failureOf(error) };
  }
}

function failureOf(error: unknown): Extract<SqliteOutcome, { failure: unknown }>["failure"] {
  if (error instanceof RuntimeError) return { code: error.code, reason: error.reason, message: error.message };
  const text = error instanceof Error ? error.message : String(error);
  return { code: "UNAVAILABLE", reason: "STORE_FAILED", message: `the database ${file} failed: ${text}` };
}

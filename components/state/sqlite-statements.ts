/** What the worker of a state database runs. Keys are stored as bytes, so that any text is one. */
import type { DatabaseSync } from "node:sqlite";
import { RuntimeError } from "../error.ts";
import type { DeleteState, SetState, StateOperation } from "./state-store.ts";

export type StateTask =
  | { readonly task: "get"; readonly key: string }
  | { readonly task: "write"; readonly store: string; readonly operations: readonly StateOperation[] };

export interface StateRow {
  readonly value: Uint8Array;
  readonly etag: string;
  readonly expiresAtMs: number | undefined;
}

const sweepMs = 30_000;

export function prepare(database: DatabaseSync): (task: StateTask) => unknown {
  database.exec(`
    CREATE TABLE IF NOT EXISTS state (key BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL, expires_at INTEGER);
    CREATE INDEX IF NOT EXISTS state_expires_at ON state (expires_at) WHERE expires_at IS NOT NULL`);
  const select = database.prepare(
    "SELECT value, version, expires_at FROM state WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)",
  );
  const selectVersion = database.prepare(
    "SELECT version FROM state WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)",
  );
  const upsert = database.prepare(`
    INSERT INTO state (key, value, version, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at`);
  const remove = database.prepare("DELETE FROM state WHERE key = ?");
  const sweep = database.prepare("DELETE FROM state WHERE expires_at <= ?");
  const newest = Number(database.prepare("SELECT max(version) AS version FROM state").get()?.["version"] ?? 0);
  // Versions begin at the clock, so that a key that was deleted does not meet an old etag again after a restart.
  let version = Math.max(newest, Date.now() * 1000);
  setInterval(() => sweep.run(Date.now()), sweepMs).unref();

  const get = (key: string): StateRow | undefined => {
    const row = select.get(Buffer.from(key), Date.now());
    if (row === undefined) return undefined;
    const { value, expires_at } = row;
    if (!(value instanceof Uint8Array)) throw new TypeError("a value is not a blob");
    return { value, etag: String(row["version"]), expiresAtMs: expires_at === null ? undefined : Number(expires_at) };
  };
  const check = (store: string, { key, etag, concurrency }: SetState | DeleteState, isDelete: boolean): void => {
    const expected = etag === "" ? undefined : etag;
    if (expected === undefined && (concurrency === "last-write" || isDelete)) return;
    const current = selectVersion.get(Buffer.from(key), Date.now())?.["version"];
    const matches =
      expected === undefined ? current === undefined : current !== undefined && String(current) === expected;
    if (matches) return;
    throw new RuntimeError(
      "ABORTED",
      "ETAG_MISMATCH",
      `key '${key}' of state store '${store}' was written by someone else since it was read`,
    );
  };
  const write = (store: string, one: StateOperation): void => {
    if (one.operation === "delete") {
      check(store, one.delete, true);
      remove.run(Buffer.from(one.delete.key));
      return;
    }
    const { key, value, ttlMs } = one.set;
    check(store, one.set, false);
    upsert.run(Buffer.from(key), value, ++version, ttlMs === undefined ? null : Date.now() + ttlMs);
  };
  return (task) => {
    if (task.task === "get") return get(task.key);
    if (task.operations.length === 1) for (const operation of task.operations) write(task.store, operation);
    else allOrNone(database, () => task.operations.forEach((operation) => write(task.store, operation)));
    return undefined;
  };
}

function allOrNone(database: DatabaseSync, work: () => void): void {
  database.exec("SAVEPOINT operations");
  try {
    work();
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK TO operations; RELEASE operations");
    throw error;
  }
  database.exec("RELEASE operations");
}

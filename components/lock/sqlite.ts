import { resolve } from "node:path";
import { z } from "zod";
import { openSqlite, type SqliteDatabase } from "../clients/sqlite.ts";
import { sweepExpired } from "../clients/sqlite-sweep.ts";
import { SqliteThread } from "../clients/sqlite-thread.ts";
import type { CallContext } from "../component.ts";
import { defineLockStore, type LockOutcome, type LockStore, type TryLock, type Unlock } from "./lock-store.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS lease (
    resource TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    ends_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS lease_by_end ON lease (ends_at_ms);
`;

const statements = {
  take: `
    INSERT INTO lease (resource, owner, ends_at_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (resource) DO UPDATE SET owner = excluded.owner, ends_at_ms = excluded.ends_at_ms WHERE ends_at_ms <= ?4
  `,
  holder: "SELECT owner = ?2 FROM lease WHERE resource = ?1 AND ends_at_ms > ?3",
  release: "DELETE FROM lease WHERE resource = ?1 AND owner = ?2 AND ends_at_ms > ?3",
  extend: "UPDATE lease SET ends_at_ms = ?4 WHERE resource = ?1 AND owner = ?2 AND ends_at_ms > ?3",
  sweep: "DELETE FROM lease WHERE resource IN (SELECT resource FROM lease WHERE ends_at_ms <= ?1 LIMIT 500)",
} as const;

type Statement = keyof typeof statements;
const sweepMs = 30_000;

/** Locks among the callers of this process that outlast its restart. */
export const sqliteLockStore = defineLockStore({
  type: "sqlite",
  capabilities: ["durable"],
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe(
        "The database file; default lock/NAME.sqlite. Relative to data.directory. Only one component may use it",
      ),
  }),
  async open({ path }, { name, dataDirectory, log, share }) {
    const file = resolve(dataDirectory, path ?? `lock/${name}.sqlite`);
    return new SqliteLockStore(
      await openSqlite({ path: file, schema, statements, log, thread: share?.(SqliteThread) }),
      log,
    );
  },
});

class SqliteLockStore implements LockStore {
  readonly #database: SqliteDatabase<Statement>;
  readonly #sweeping: AsyncDisposable;

  constructor(database: SqliteDatabase<Statement>, log: CallContext["log"]) {
    this.#database = database;
    this.#sweeping = sweepExpired({ database, statement: "sweep", everyMs: sweepMs, log });
  }

  async tryLock({ resource, owner, leaseMs }: TryLock, { signal }: CallContext): Promise<boolean> {
    const now = Date.now();
    const { changes } = await this.#database.run("take", [resource, owner, now + leaseMs, now], signal);
    return changes > 0;
  }

  unlock({ resource, owner }: Unlock, call: CallContext): Promise<LockOutcome> {
    return this.#ifHeld("release", [resource, owner, Date.now()], call);
  }

  renew({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<LockOutcome> {
    const now = Date.now();
    return this.#ifHeld("extend", [resource, owner, now, now + leaseMs], call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeping[Symbol.asyncDispose]();
    await this.#database[Symbol.asyncDispose]();
  }

  /** Asks for the holder and runs the statement in one transaction, so that the answer is what it met. */
  async #ifHeld(
    statement: Statement,
    values: readonly [resource: string, owner: string, now: number, ...more: number[]],
    { signal }: CallContext,
  ): Promise<LockOutcome> {
    const outcome = await this.#database.transact(
      [
        { statement: "holder", values: values.slice(0, 3) },
        { statement, values },
      ],
      signal,
    );
    const holder = outcome.applied ? outcome.results[0]?.rows[0] : undefined;
    if (holder === undefined) return "not-locked";
    return holder[0] === 1 ? "success" : "owned-by-other";
  }
}

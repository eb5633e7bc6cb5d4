import { resolve } from "node:path";
import { z } from "zod";
import { openSqlite, type SqliteDatabase, type SqliteOperation } from "../clients/sqlite.ts";
import { sweepExpired } from "../clients/sqlite-sweep.ts";
import { SqliteThread } from "../clients/sqlite-thread.ts";
import type { CallContext } from "../component.ts";
import { etagMismatch, etagSource, expectedEtag } from "./etag.ts";
import { cursorAt, pageStart } from "./key-cursor.ts";
import {
  type DeleteState,
  defineStateStore,
  type GetState,
  type KeyPage,
  type ListKeys,
  type SetState,
  type StateEntry,
  type StateOperation,
  type StateStore,
} from "./state-store.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS state (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    etag TEXT NOT NULL,
    expires_at_ms INTEGER
  ) STRICT;
  CREATE INDEX IF NOT EXISTS state_by_expiry ON state (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
`;

const isLive = (now: string): string => `(expires_at_ms IS NULL OR expires_at_ms > ${now})`;
const upsert = `
  INSERT INTO state (key, value, etag, expires_at_ms) VALUES (?1, ?2, ?3, ?4)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires_at_ms = excluded.expires_at_ms
`;

const statements = {
  get: `SELECT value, etag, expires_at_ms FROM state WHERE key = ?1 AND ${isLive("?2")}`,
  keys: `SELECT key FROM state WHERE key >= ?1 AND key < ?2 AND ${isLive("?3")} ORDER BY key LIMIT ?4`,
  put: upsert,
  putNew: `${upsert} WHERE state.expires_at_ms <= ?5`,
  replace: `UPDATE state SET value = ?2, etag = ?3, expires_at_ms = ?4 WHERE key = ?1 AND etag = ?6 AND ${isLive("?5")}`,
  delete: "DELETE FROM state WHERE key = ?1",
  deleteVersion: `DELETE FROM state WHERE key = ?1 AND etag = ?3 AND ${isLive("?2")}`,
  sweep: "DELETE FROM state WHERE key IN (SELECT key FROM state WHERE expires_at_ms <= ?1 LIMIT 500)",
} as const;

type Statement = keyof typeof statements;
const sweepMs = 30_000;

/** State in a file: survives a restart, a kill and a power cut. */
export const sqliteStateStore = defineStateStore({
  type: "sqlite",
  capabilities: ["transactions", "keys", "ttl", "durable"],
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe(
        "The database file; default state/NAME.sqlite. Relative to data.directory. Only one component may use it",
      ),
    maxBytes: z
      .int()
      .min(1024 ** 2)
      .optional()
      .describe("Most bytes of the file, at least 1 MiB; default as many as the disk has. A write over it is refused"),
  }),
  async open({ path, maxBytes }, { name, dataDirectory, log, share }) {
    const file = resolve(dataDirectory, path ?? `state/${name}.sqlite`);
    return new SqliteStateStore(
      name,
      await openSqlite({ path: file, schema, statements, maxBytes, log, thread: share?.(SqliteThread) }),
      log,
    );
  },
});

class SqliteStateStore implements StateStore {
  readonly #name: string;
  readonly #database: SqliteDatabase<Statement>;
  readonly #sweeping: AsyncDisposable;
  readonly #nextEtag = etagSource();

  constructor(name: string, database: SqliteDatabase<Statement>, log: CallContext["log"]) {
    this.#name = name;
    this.#database = database;
    this.#sweeping = sweepExpired({ database, statement: "sweep", everyMs: sweepMs, log });
  }

  async get({ key }: GetState, { signal }: CallContext): Promise<StateEntry | undefined> {
    const { rows } = await this.#database.run("get", [key, Date.now()], signal);
    const [value, etag, expiresAtMs] = rows[0] ?? [];
    if (!(value instanceof Uint8Array) || typeof etag !== "string") return undefined;
    return { key, value, etag, ...(typeof expiresAtMs === "number" ? { expiresAtMs } : {}) };
  }

  set(request: SetState, call: CallContext): Promise<void> {
    return this.transact([{ operation: "set", set: request }], call);
  }

  delete(request: DeleteState, call: CallContext): Promise<void> {
    return this.transact([{ operation: "delete", delete: request }], call);
  }

  async keys(request: ListKeys, { signal }: CallContext): Promise<KeyPage> {
    const start = pageStart(this.#name, request).toString();
    const { rows } = await this.#database.run(
      "keys",
      [start, endOf(request.prefix), Date.now(), request.limit],
      signal,
    );
    const keys = rows.map(([key]) => String(key));
    const last = keys.at(-1);
    return {
      keys,
      cursor: last === undefined || keys.length < request.limit ? undefined : cursorAt(Buffer.from(last)),
    };
  }

  async transact(operations: readonly StateOperation[], { signal }: CallContext): Promise<void> {
    const outcome = await this.#database.transact(
      operations.map((one) => (one.operation === "set" ? this.#set(one.set) : this.#delete(one.delete))),
      signal,
    );
    if (outcome.applied) return;
    const refused = operations[outcome.refusedStep];
    if (refused === undefined) throw new RangeError(`step ${outcome.refusedStep} of a transaction does not exist`);
    throw etagMismatch(this.#name, refused.operation === "set" ? refused.set : refused.delete);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeping[Symbol.asyncDispose]();
    await this.#database[Symbol.asyncDispose]();
  }

  #set(request: SetState): SqliteOperation<Statement> {
    const now = Date.now();
    const etag = expectedEtag(request);
    const expiresAtMs = request.ttlMs === undefined ? undefined : now + request.ttlMs;
    const written = [request.key, request.value, this.#nextEtag(), expiresAtMs];
    if (etag !== undefined) return { statement: "replace", values: [...written, now, etag], mustChange: true };
    if (request.concurrency === "last-write") return { statement: "put", values: written };
    return { statement: "putNew", values: [...written, now], mustChange: true };
  }

  #delete(request: DeleteState): SqliteOperation<Statement> {
    const etag = expectedEtag(request);
    if (etag === undefined) return { statement: "delete", values: [request.key] };
    return { statement: "deleteVersion", values: [request.key, Date.now(), etag], mustChange: true };
  }
}

/** What all texts that begin with the prefix come before, and no other that comes after them. */
function endOf(prefix: string): string | Uint8Array {
  const points = Array.from(prefix.toWellFormed(), (character) => character.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  // Every text comes before every blob.
  if (last === undefined) return new Uint8Array(0);
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}

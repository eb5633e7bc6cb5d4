import { openPostgres, type PostgresConnection, type PostgresResult, type PostgresValue } from "../clients/postgres.ts";
import { postgresSettings } from "../clients/postgres-settings.ts";
import { sweepExpiredRows } from "../clients/postgres-sweep.ts";
import { ensureTable, storedKey, tableOf } from "../clients/postgres-table.ts";
import { isOfOne, type PostgresWrite, together, writeTogether } from "../clients/postgres-writes.ts";
import { TurnBatch } from "../clients/turn-batch.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { etagMismatch, etagSource, expectedEtag } from "./etag.ts";
import { cursorAt, pageStart } from "./key-cursor.ts";
import { makeStateTable, type StateStatements, stateStatements } from "./postgres-statements.ts";
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

const sweepMs = 30_000;

/** State in a table of a Postgres database. */
export const postgresStateStore = defineStateStore({
  type: "postgres",
  capabilities: ["transactions", "keys", "ttl", "durable", "shared"],
  config: postgresSettings,
  async open(settings, context) {
    const { name, log } = context;
    await using opening = new AsyncDisposableStack();
    const connection = opening.use(await openPostgres(settings, context));
    const table = tableOf("state", name, settings);
    await ensureTable(connection, table, makeStateTable(table));
    const store = new PostgresStateStore(name, connection, { statements: stateStatements(table), log });
    opening.move();
    return store;
  },
});

interface PostgresStateParts {
  readonly statements: StateStatements;
  readonly log: CallContext["log"];
}

interface Write extends PostgresWrite {
  readonly of: SetState | DeleteState;
  /** Whether it was refused when it has changed no row. */
  readonly isConditional: boolean;
}

class PostgresStateStore implements StateStore {
  readonly #name: string;
  readonly #connection: PostgresConnection;
  readonly #statements: StateStatements;
  readonly #sweeping: AsyncDisposable;
  readonly #reads: TurnBatch<Buffer, readonly unknown[]>;
  readonly #writes: TurnBatch<Write, PostgresResult>;
  readonly #nextEtag = etagSource();

  constructor(name: string, connection: PostgresConnection, { statements, log }: PostgresStateParts) {
    this.#name = name;
    this.#connection = connection;
    this.#statements = statements;
    this.#sweeping = sweepExpiredRows({ connection, statement: statements.sweep, everyMs: sweepMs, log });
    this.#reads = new TurnBatch({ limit: together, isOfOne, send: (keys) => this.#read(keys) });
    this.#writes = new TurnBatch({ limit: together, isOfOne, send: (writes) => writeTogether(connection, writes) });
  }

  async get({ key }: GetState, call: CallContext): Promise<StateEntry | undefined> {
    throwIfAborted(call);
    const stored = storedKey(key);
    const [value, etag, expiresAtMs] = await this.#reads.ask(stored, stored.length);
    if (!Buffer.isBuffer(value)) return undefined;
    const entry = { key, value, etag: String(etag) };
    return typeof expiresAtMs === "number" ? { ...entry, expiresAtMs } : entry;
  }

  async set(set: SetState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const write = this.#writeOf({ operation: "set", set });
    this.#check(write, await this.#writes.ask(write, write.key.length + set.value.length));
  }

  async delete(request: DeleteState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const write = this.#writeOf({ operation: "delete", delete: request });
    this.#check(write, await this.#writes.ask(write, write.key.length));
  }

  async keys(request: ListKeys, call: CallContext): Promise<KeyPage> {
    throwIfAborted(call);
    const start = pageStart(this.#name, request);
    const values = [start, endOf(request.prefix), request.limit];
    const { rows } = await this.#connection.run({ ...this.#statements.keys, values });
    const keys = rows.flatMap(([key]) => (Buffer.isBuffer(key) ? [key] : []));
    const last = keys.length < request.limit ? undefined : keys.at(-1);
    return { keys: keys.map(String), cursor: last === undefined ? undefined : cursorAt(last) };
  }

  async transact(operations: readonly StateOperation[], call: CallContext): Promise<void> {
    throwIfAborted(call);
    if (operations.length === 0) return;
    const writes = operations.map((operation) => this.#writeOf(operation));
    const isAsked = writes.length > 1 && writes.some(({ isConditional }) => isConditional);
    const mayCommit = (results: readonly PostgresResult[]): boolean =>
      !writes.some((write, index) => isRefused(write, results[index]));
    const results = await writeTogether(this.#connection, writes, isAsked ? mayCommit : undefined);
    for (const [index, write] of writes.entries()) this.#check(write, results[index]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeping[Symbol.asyncDispose]();
    await Promise.all([this.#reads.drain(), this.#writes.drain()]);
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Value, etag and end of life for each key; nothing for one that is absent. */
  async #read(keys: readonly Buffer[]): Promise<readonly (readonly unknown[])[]> {
    const { get, getMany } = this.#statements;
    const [only] = keys;
    if (only !== undefined && keys.length === 1) {
      const { rows } = await this.#connection.run({ ...get, values: [only] });
      return [rows[0] ?? []];
    }
    const { rows } = await this.#connection.run({ ...getMany, values: [keys] });
    const found = new Map(rows.map((fields) => [fields[3], fields]));
    return keys.map((_, index) => found.get(index) ?? []);
  }

  #writeOf(operation: StateOperation): Write {
    const of = operation.operation === "set" ? operation.set : operation.delete;
    // No etag of ours, and no text that Postgres can be asked for.
    if (of.etag?.includes("\0")) throw etagMismatch(this.#name, of);
    return operation.operation === "set" ? this.#setting(operation.set) : this.#deleting(operation.delete);
  }

  #setting(of: SetState): Write {
    const { put, putNew, replace } = this.#statements;
    const key = storedKey(of.key);
    const { value, ttlMs = null } = of;
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const values: readonly PostgresValue[] = [key, bytes, this.#nextEtag(), ttlMs];
    const etag = expectedEtag(of);
    const write = { of, key, isConditional: true };
    if (etag !== undefined) return { ...write, statement: { ...replace, values: [...values, etag] } };
    if (of.concurrency === "first-write") return { ...write, statement: { ...putNew, values } };
    return { ...write, statement: { ...put, values }, isConditional: false };
  }

  #deleting(of: DeleteState): Write {
    const key = storedKey(of.key);
    const etag = expectedEtag(of);
    const { delete: remove, deleteVersion } = this.#statements;
    if (etag === undefined) return { of, key, statement: { ...remove, values: [key] }, isConditional: false };
    return { of, key, statement: { ...deleteVersion, values: [key, etag] }, isConditional: true };
  }

  #check(write: Write, result: PostgresResult | undefined): void {
    if (isRefused(write, result)) throw etagMismatch(this.#name, write.of);
  }
}

const isRefused = ({ isConditional }: Write, result: PostgresResult | undefined): boolean =>
  isConditional && result?.changes !== 1;

/** What all keys that begin with the prefix come before: UTF-8 has no byte 255. */
function endOf(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  if (last < 0) return Buffer.of(0xff);
  end.writeUInt8(end.readUInt8(last) + 1, last);
  return end;
}

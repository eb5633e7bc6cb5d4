import {
  openPostgres,
  type PostgresConnection,
  type PostgresResult,
  type PostgresStatement,
} from "../clients/postgres.ts";
import { postgresSettings } from "../clients/postgres-settings.ts";
import { ensureTable, storedKey, tableOf } from "../clients/postgres-table.ts";
import { isOfOne, type PostgresWrite, together, writeTogether } from "../clients/postgres-writes.ts";
import { TurnBatch } from "../clients/turn-batch.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { largestId, sequenceExhausted } from "./exhausted.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";

/** Sequences in a table of a Postgres database: its own sequences leave ids out. */
export const postgresSequencer = defineSequencer({
  type: "postgres",
  capabilities: ["durable", "consecutive", "shared"],
  config: postgresSettings,
  async open(settings, context) {
    await using opening = new AsyncDisposableStack();
    const connection = opening.use(await openPostgres(settings, context));
    const table = tableOf("sequencer", context.name, settings);
    await ensureTable(connection, table, [
      `CREATE TABLE IF NOT EXISTS ${table.sql} (key bytea PRIMARY KEY, last bigint NOT NULL)`,
    ]);
    const sequencer = new PostgresSequencer(context.name, connection, {
      name: "reserve",
      text: `
        INSERT INTO ${table.sql} AS s (key, last) VALUES ($1, $2)
        ON CONFLICT (key) DO UPDATE SET last = s.last + excluded.last WHERE s.last <= ${largestId} - excluded.last
        RETURNING (last - $2 + 1)::text
      `,
    });
    opening.move();
    return sequencer;
  },
});

class PostgresSequencer implements Sequencer {
  readonly #name: string;
  readonly #connection: PostgresConnection;
  readonly #reserve: PostgresStatement;
  readonly #writes: TurnBatch<PostgresWrite, PostgresResult>;

  constructor(name: string, connection: PostgresConnection, reserve: PostgresStatement) {
    this.#name = name;
    this.#connection = connection;
    this.#reserve = reserve;
    this.#writes = new TurnBatch({ limit: together, isOfOne, send: (writes) => writeTogether(connection, writes) });
  }

  async reserve({ key, count }: ReserveIds, call: CallContext): Promise<bigint> {
    throwIfAborted(call);
    const stored = storedKey(key);
    const statement = { ...this.#reserve, values: [stored, count] };
    const { rows } = await this.#writes.ask({ key: stored, statement }, stored.length);
    const first = rows[0]?.[0];
    if (typeof first !== "string") throw sequenceExhausted(this.#name, key);
    return BigInt(first);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writes.drain();
    await this.#connection[Symbol.asyncDispose]();
  }
}

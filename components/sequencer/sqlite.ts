import { resolve } from "node:path";
import { z } from "zod";
import { openSqlite, type SqliteDatabase } from "../clients/sqlite.ts";
import { SqliteThread } from "../clients/sqlite-thread.ts";
import type { CallContext } from "../component.ts";
import { sequenceExhausted } from "./exhausted.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS sequence (
    key TEXT PRIMARY KEY,
    last INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

const statements = {
  // As text, because a JavaScript number does not hold every id; without the condition a large sum turns into a float.
  reserve: `
    INSERT INTO sequence (key, last) VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET last = last + ?2 WHERE last <= 9223372036854775807 - ?2
    RETURNING CAST(last - ?2 + 1 AS TEXT)
  `,
} as const;

/** Sequences in a file: an id that was given is not given again after a restart, a kill or a power cut. */
export const sqliteSequencer = defineSequencer({
  type: "sqlite",
  capabilities: ["durable", "consecutive"],
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe(
        "The database file; default sequencer/NAME.sqlite. Relative to data.directory. Only one component may use it",
      ),
  }),
  async open({ path }, { name, dataDirectory, log, share }) {
    const file = resolve(dataDirectory, path ?? `sequencer/${name}.sqlite`);
    return new SqliteSequencer(
      name,
      await openSqlite({ path: file, schema, statements, log, thread: share?.(SqliteThread) }),
    );
  },
});

class SqliteSequencer implements Sequencer {
  readonly #name: string;
  readonly #database: SqliteDatabase<keyof typeof statements>;

  constructor(name: string, database: SqliteDatabase<keyof typeof statements>) {
    this.#name = name;
    this.#database = database;
  }

  async reserve({ key, count }: ReserveIds, { signal }: CallContext): Promise<bigint> {
    // A number would be bound as a float, and so make the ids floats.
    const { rows } = await this.#database.run("reserve", [key, BigInt(count)], signal);
    const first = rows[0]?.[0];
    if (typeof first !== "string") throw sequenceExhausted(this.#name, key);
    return BigInt(first);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#database[Symbol.asyncDispose]();
  }
}

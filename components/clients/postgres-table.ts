/** What the components on Postgres have in common: each has a table of its own, by keys of any length. */
import { createHash } from "node:crypto";
import type { PostgresConnection } from "./postgres.ts";
import type { PostgresSettings } from "./postgres-settings.ts";

/** Most bytes of a key as it is stored: an entry of an index has room for about 2700. */
const longestKey = 1024;
const digestBytes = 32;
/** A byte that UTF-8 does not have. */
const cut = Buffer.of(0xff);
/** Any number that means the same to all of us: who makes a table waits for others who do. */
const creationLock = 6_872_305_118;

/**
 * A key as it is stored: its UTF-8, since Postgres knows no text with a NUL. Of one that is too long for an index the
 * beginning, the byte 255 and the SHA-256 of all of it.
 */
export function storedKey(key: string): Buffer {
  const bytes = Buffer.from(key);
  if (bytes.length <= longestKey) return bytes;
  const digest = createHash("sha256").update(bytes).digest();
  return Buffer.concat([bytes.subarray(0, longestKey - digestBytes - cut.length), cut, digest]);
}

/** The table of a component, as statements name it. */
export interface PostgresTable {
  readonly sql: string;
  /** Without its schema and quotes; names of at most 15 characters more are not cut off. */
  readonly name: string;
  readonly schema: string | undefined;
}

export function tableOf(kind: string, component: string, { schema, table }: PostgresSettings): PostgresTable {
  const name = table ?? `${kind}_${component.replace(/\W/g, "_")}`.slice(0, 48);
  return { sql: schema === undefined ? quoted(name) : `${quoted(schema)}.${quoted(name)}`, name, schema };
}

/** Makes the table, and its schema, when it is not there; `statements` do no harm when it is after all. */
export async function ensureTable(
  connection: PostgresConnection,
  { sql, schema }: PostgresTable,
  statements: readonly string[],
): Promise<void> {
  connection.needs(sql);
  const text = "SELECT to_regclass($1) IS NOT NULL, $2::text IS NULL OR to_regnamespace($2) IS NOT NULL";
  const { rows } = await connection.run({ text, values: [sql, schema === undefined ? null : quoted(schema)] });
  const [hasTable, hasSchema] = rows[0] ?? [];
  if (hasTable === true) return;
  const schemas = hasSchema === true || schema === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}`];
  const all = [`SELECT pg_advisory_xact_lock(${creationLock})`, ...schemas, ...statements];
  await connection.transact(all.map((statement) => ({ text: statement })));
}

const quoted = (identifier: string): string => `"${identifier}"`;

import type { PostgresStatement } from "../clients/postgres.ts";
import type { PostgresTable } from "../clients/postgres-table.ts";

/** The statements of a state store, without their values. */
export type StateStatements = Readonly<
  Record<
    "get" | "getMany" | "keys" | "put" | "putNew" | "replace" | "delete" | "deleteVersion" | "sweep",
    PostgresStatement
  >
>;

/** What makes the table. Its times are the server's, since those who share it may have clocks that differ. */
export const makeStateTable = ({ sql, name }: PostgresTable): readonly string[] => [
  `CREATE TABLE IF NOT EXISTS ${sql} (
    key bytea PRIMARY KEY,
    value bytea NOT NULL,
    etag text NOT NULL,
    expires_at timestamptz
  )`,
  `CREATE INDEX IF NOT EXISTS "${name}_by_expiry" ON ${sql} (expires_at) WHERE expires_at IS NOT NULL`,
];

/**
 * Values of a write: key, value, etag, milliseconds to live or null, and the etag that it insists on; of a delete: key and
 * etag. `getMany` takes keys and has, for each that is there, its place among them; `get` takes one. `keys` takes the first key,
 * what lies behind the last one, and how many; those that are cut off and so have a byte 255 are not among them.
 */
export function stateStatements({ sql: table }: PostgresTable): StateStatements {
  const isLive = "(s.expires_at IS NULL OR s.expires_at > clock_timestamp())";
  const expiry = "clock_timestamp() + $4::float8 * interval '1 millisecond'";
  const fields = "s.value, s.etag, floor(extract(epoch FROM s.expires_at) * 1000)::float8";
  const put = `
    INSERT INTO ${table} AS s (key, value, etag, expires_at) VALUES ($1, $2, $3, ${expiry})
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires_at = excluded.expires_at
  `;
  const named = (name: string, text: string): PostgresStatement => ({ name, text });
  return {
    get: named("get", `SELECT ${fields} FROM ${table} AS s WHERE s.key = $1 AND ${isLive}`),
    getMany: named(
      "getMany",
      `SELECT ${fields}, k.place::int4 - 1
       FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, place) JOIN ${table} AS s ON s.key = k.key WHERE ${isLive}`,
    ),
    keys: named(
      "keys",
      `SELECT s.key FROM ${table} AS s
       WHERE s.key >= $1 AND s.key < $2 AND ${isLive} AND position('\\xff'::bytea IN s.key) = 0 ORDER BY s.key LIMIT $3::int4`,
    ),
    put: named("put", put),
    putNew: named("putNew", `${put} WHERE NOT ${isLive}`),
    replace: named(
      "replace",
      `UPDATE ${table} AS s SET value = $2, etag = $3, expires_at = ${expiry} WHERE s.key = $1 AND s.etag = $5 AND ${isLive}`,
    ),
    delete: named("delete", `DELETE FROM ${table} WHERE key = $1`),
    deleteVersion: named("deleteVersion", `DELETE FROM ${table} AS s WHERE s.key = $1 AND s.etag = $2 AND ${isLive}`),
    // Rows that a call is at are left for the next time.
    sweep: named(
      "sweep",
      `DELETE FROM ${table} WHERE key IN (
         SELECT key FROM ${table} WHERE expires_at <= clock_timestamp() LIMIT 500 FOR UPDATE SKIP LOCKED
       )`,
    ),
  };
}

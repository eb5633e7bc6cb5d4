/** What the worker of a sequencer database runs. */
import type { DatabaseSync } from "node:sqlite";
import type { ReserveIds } from "./sequencer.ts";

export function prepare(database: DatabaseSync): (request: ReserveIds) => bigint {
  database.exec("CREATE TABLE IF NOT EXISTS sequence (key BLOB PRIMARY KEY, next INTEGER NOT NULL)");
  const reserve = database.prepare(`
    INSERT INTO sequence (key, next) VALUES (?1, 1 + ?2)
    ON CONFLICT (key) DO UPDATE SET next = next + ?2 RETURNING next - ?2 AS first`);
  reserve.setReadBigInts(true);
  return ({ key, count }) => {
    const first = reserve.get(Buffer.from(key), count)?.["first"];
    if (typeof first !== "bigint") throw new TypeError("no id was reserved");
    return first;
  };
}

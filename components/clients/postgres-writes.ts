import { RuntimeError } from "../error.ts";
import type { PostgresConnection, PostgresResult, PostgresStatement } from "./postgres.ts";

/** A statement that writes the row of one key. */
export interface PostgresWrite {
  readonly key: Buffer;
  readonly statement: PostgresStatement;
}

/** What goes to the server together: the rows stay locked until all of it is done. */
export const together = { requests: 128, bytes: 256 * 1024 };

/**
 * Does all of the writes or none, as `transact` does, in the order of their keys: everyone takes locks in this order, so
 * that none waits for another in a circle. Writes to one key keep their order; results are in the order of `writes`.
 */
export async function writeTogether(
  connection: PostgresConnection,
  writes: readonly PostgresWrite[],
  mayCommit?: (results: readonly PostgresResult[]) => boolean,
): Promise<readonly PostgresResult[]> {
  const [first] = writes;
  if (first !== undefined && writes.length === 1) return [await connection.run(first.statement)];
  const places = [...writes.entries()].sort(([, one], [, other]) => Buffer.compare(one.key, other.key));
  const inOrderOfWrites = (results: readonly PostgresResult[]): readonly PostgresResult[] => {
    const ordered = Array.from(results);
    for (const [sorted, [place]] of places.entries()) ordered[place] = results[sorted] ?? nothingDone;
    return ordered;
  };
  const statements = places.map(([, { statement }]) => statement);
  const may = mayCommit && ((results: readonly PostgresResult[]) => mayCommit(inOrderOfWrites(results)));
  return inOrderOfWrites(await connection.transact(statements, may));
}

/** Whether the server refused a batch as a whole and nothing of it was done. */
export const isOfOne = (error: unknown): boolean => error instanceof RuntimeError && !ofAll.has(error.reason);

/** What every request would meet, or that may have come when everything was done. */
const ofAll = new Set(["POSTGRES_UNREACHABLE", "POSTGRES_NOT_READY", "POSTGRES_BUSY"]);

const nothingDone: PostgresResult = { rows: [], changes: 0 };

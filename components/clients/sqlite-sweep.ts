import type { ComponentLog } from "../component.ts";
import type { SqliteDatabase } from "./sqlite.ts";

export interface SqliteSweep<Statement extends string> {
  readonly database: SqliteDatabase<Statement>;
  /** Deletes some of what has expired; its only value is the time in milliseconds. Repeated until it changes nothing. */
  readonly statement: Statement;
  readonly everyMs: number;
  readonly log: ComponentLog;
}

/** Deletes expired rows now and then, a few at a time so that calls get in between. Dispose it before the database. */
export function sweepExpired<Statement extends string>(sweep: SqliteSweep<Statement>): AsyncDisposable {
  const { database, statement, everyMs, log } = sweep;
  const stopping = new AbortController();
  let sweeping = Promise.resolve();

  const run = async (): Promise<void> => {
    try {
      while ((await database.run(statement, [Date.now()], stopping.signal)).changes > 0);
    } catch (error) {
      if (!stopping.signal.aborted) log.warn({ err: error }, "expired rows could not be deleted; tried again later");
    }
  };

  const timer = setInterval(() => {
    sweeping = sweeping.then(run);
  }, everyMs).unref();

  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stopping.abort();
      await sweeping;
    },
  };
}

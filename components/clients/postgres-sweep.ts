import { setTimeout as delay } from "node:timers/promises";
import type { OpenContext } from "../component.ts";
import type { PostgresConnection, PostgresStatement } from "./postgres.ts";

export interface PostgresSweep {
  readonly connection: PostgresConnection;
  /** Deletes some of what has expired. Repeated until it changes nothing. */
  readonly statement: PostgresStatement;
  readonly everyMs: number;
  readonly log: OpenContext["log"];
}

/** Deletes expired rows now and then, a few at a time so that calls get in between. Dispose it before the connection. */
export function sweepExpiredRows({ connection, statement, everyMs, log }: PostgresSweep): AsyncDisposable {
  const stopping = new AbortController();
  const { signal } = stopping;

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      // By chance sooner or later: others who share the table sweep it, too.
      await delay(everyMs * (0.5 + Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
      try {
        while (!signal.aborted && (await connection.run(statement)).changes > 0);
      } catch (error) {
        log.debug({ err: error }, "expired rows could not be deleted; tried again later");
      }
    }
  };

  const sweeping = run();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await sweeping;
    },
  };
}

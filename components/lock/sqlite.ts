import { z } from "zod";
import { SqliteFile } from "../clients/sqlite.ts";
import type { CallContext } from "../component.ts";
import { defineLockStore, type LockOutcome, type LockStore, type TryLock, type Unlock } from "./lock-store.ts";
import type { LockTask } from "./sqlite-statements.ts";

/** Locks in a file: a lease outlives the process that gave it. */
export const sqliteLockStore = defineLockStore({
  type: "sqlite",
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe("The database file, relative to data.directory; default lock-NAME.sqlite"),
  }),
  open: async ({ path }, context) => {
    const file = {
      path: path ?? `lock-${context.name}.sqlite`,
      beside: import.meta.url,
      statements: "sqlite-statements",
      context,
    };
    return new SqliteLockStore(await SqliteFile.open(file));
  },
});

class SqliteLockStore implements LockStore {
  readonly #file: SqliteFile;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  tryLock({ resource, owner, leaseMs }: TryLock, { signal }: CallContext): Promise<boolean> {
    return this.#file.run({ task: "lock", resource, owner, leaseMs } satisfies LockTask, signal);
  }

  unlock({ resource, owner }: Unlock, { signal }: CallContext): Promise<LockOutcome> {
    return this.#file.run({ task: "unlock", resource, owner } satisfies LockTask, signal);
  }

  renew({ resource, owner, leaseMs }: TryLock, { signal }: CallContext): Promise<LockOutcome> {
    return this.#file.run({ task: "renew", resource, owner, leaseMs } satisfies LockTask, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

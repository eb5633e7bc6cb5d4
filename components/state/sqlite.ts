import { z } from "zod";
import { SqliteFile } from "../clients/sqlite.ts";
import type { CallContext } from "../component.ts";
import type { StateRow, StateTask } from "./sqlite-statements.ts";
import {
  type DeleteState,
  defineStateStore,
  type GetState,
  type SetState,
  type StateEntry,
  type StateOperation,
  type StateStore,
} from "./state-store.ts";

/** State in a file, which survives whatever ends the process; a write is on the disk when it is acknowledged. */
export const sqliteStateStore = defineStateStore({
  type: "sqlite",
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe("The database file, relative to data.directory; default state-NAME.sqlite"),
  }),
  open: async ({ path }, context) => {
    const file = {
      path: path ?? `state-${context.name}.sqlite`,
      beside: import.meta.url,
      statements: "sqlite-statements",
      context,
    };
    return new SqliteStateStore(await SqliteFile.open(file), context.name);
  },
});

class SqliteStateStore implements StateStore {
  readonly #file: SqliteFile;
  readonly #store: string;

  constructor(file: SqliteFile, store: string) {
    this.#file = file;
    this.#store = store;
  }

  async get({ key }: GetState, { signal }: CallContext): Promise<StateEntry | undefined> {
    const row = await this.#file.run<StateRow | undefined>({ task: "get", key } satisfies StateTask, signal);
    if (row === undefined) return undefined;
    const { value, etag, expiresAtMs } = row;
    return { key, value, etag, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
  }

  async set(request: SetState, { signal }: CallContext): Promise<void> {
    await this.#run([{ operation: "set", set: request }], signal);
  }

  async delete(request: DeleteState, { signal }: CallContext): Promise<void> {
    await this.#run([{ operation: "delete", delete: request }], signal);
  }

  async transact(operations: readonly StateOperation[], { signal }: CallContext): Promise<void> {
    await this.#run(operations, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }

  async #run(operations: readonly StateOperation[], signal: AbortSignal): Promise<void> {
    const transfer: ArrayBuffer[] = [];
    const own = operations.map((one) => {
      if (one.operation === "delete") return one;
      const value = one.set.value.slice();
      transfer.push(value.buffer);
      return { ...one, set: { ...one.set, value } };
    });
    await this.#file.run({ task: "write", store: this.#store, operations: own } satisfies StateTask, signal, transfer);
  }
}

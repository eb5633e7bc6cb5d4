import { z } from "zod";
import { SqliteFile } from "../clients/sqlite.ts";
import type { CallContext } from "../component.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";

/** Sequences in a file, which go on where they were after a restart. */
export const sqliteSequencer = defineSequencer({
  type: "sqlite",
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe("The database file, relative to data.directory; default sequencer-NAME.sqlite"),
  }),
  open: async ({ path }, context) => {
    const file = {
      path: path ?? `sequencer-${context.name}.sqlite`,
      beside: import.meta.url,
      statements: "sqlite-statements",
      context,
    };
    return new SqliteSequencer(await SqliteFile.open(file));
  },
});

class SqliteSequencer implements Sequencer {
  readonly #file: SqliteFile;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  reserve({ key, count }: ReserveIds, { signal }: CallContext): Promise<bigint> {
    return this.#file.run({ key, count } satisfies ReserveIds, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

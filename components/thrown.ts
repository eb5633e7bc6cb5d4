/** What is said of something that was thrown, whatever it is. */

export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** The code of an error of the system or of a library, such as `ENOENT`; undefined when it has none. */
export const codeOf = (thrown: unknown): string | undefined =>
  thrown instanceof Error && "code" in thrown ? String(thrown.code) : undefined;

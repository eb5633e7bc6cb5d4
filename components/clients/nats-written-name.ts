/** How the name of an entry lies beside it where its key is only a digest of the name. */

/** Header: the entry's own name. Of one that is longer than so many characters only the beginning. */
export const nameHeader = "Outrigger-Name";
const longest = 3 * 1024;

/** Fields of the header for an entry; none where the key says it all. */
export const nameFields = (key: string, name: string | undefined): Readonly<Record<string, string>> =>
  name === undefined || !isDigest(key) ? {} : { [nameHeader]: writtenName(name) };

/** As long as the name of an entry is in its header. */
export const nameBytesOf = (key: string, name: string): number => (isDigest(key) ? writtenName(name).length : 0);

/** The name that a header has; undefined for none, and for one that was cut off within a character. */
export function nameWritten(text: string | undefined): string | undefined {
  try {
    return text === undefined || text === "" ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const isDigest = (key: string): boolean => key.includes("=_");

const writtenName = (name: string): string => encodeURIComponent(name.toWellFormed()).slice(0, longest);

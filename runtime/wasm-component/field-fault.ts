/** What fields of a message may be called, and may hold. */

const maxNameBytes = 256;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const badInValue = /[^\t\x20-\x7e\x80-\xff]/;

export const isFieldName = (name: string): boolean => name.length <= maxNameBytes && token.test(name);

/** The value is a byte string: one character per byte. */
export const isFieldValue = (value: string): boolean => !badInValue.test(value);

/** What is wrong with a field of a response, as a sentence; undefined when nothing is. */
export function faultOfField(name: string, value: string): string | undefined {
  if (!isFieldName(name)) return `${quoted(name)} is no name of a field`;
  const [bad] = badInValue.exec(value) ?? [];
  if (bad === undefined) return undefined;
  return `the value of '${name}' holds ${quoted(bad)}, and may hold printable characters of Latin-1 and tabs`;
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 64));

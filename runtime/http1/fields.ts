import { space, tab } from "./octets.ts";
import type { ScannedSection } from "./section-scanner.ts";

/**
 * Calls `each` with every field of a scanned section: the name in lower case, the value without the blanks around it.
 * `from` is where the first field line begins, `mark` the index of its colon's mark.
 */
export function readFields(
  { text, marks }: ScannedSection,
  from: number,
  mark: number,
  each: (name: string, value: string) => void,
): void {
  let start = from;
  for (let at = mark; at < marks.length; at += 2) {
    const colonAt = marks[at] ?? 0;
    const lineEnd = marks[at + 1] ?? 0;
    each(text.substring(start, colonAt).toLowerCase(), trimmed(text, colonAt + 1, lineEnd));
    start = lineEnd + 2;
  }
}

function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.substring(start, end);
}

function isBlank(code: number): boolean {
  return code === space || code === tab;
}

/** The parts of a list of values separated by commas, in lower case and without blanks or empty parts. */
export function listOf(value: string): string[] {
  return value
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== "");
}

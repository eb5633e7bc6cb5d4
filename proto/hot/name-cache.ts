const slots = 256;
const longest = 40;

/**
 * Strings that come again and again in messages (names of stores, topics, metadata), so that they are made once. A name
 * has one slot, which the last one takes; what it holds is bounded by 256 names of 40 bytes, whoever sends them.
 */
export class NameCache {
  readonly #names: string[] = new Array<string>(slots).fill("");

  /** The text of the bytes from `start` to `end`, as UTF-8. */
  read(buffer: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length === 0) return "";
    if (length > longest) return buffer.toString("utf8", start, end);
    const slot = this.#slotOf(buffer, start, end);
    const known = this.#names[slot];
    if (known !== undefined && isSame(known, buffer, start, length)) return known;
    const name = buffer.toString("utf8", start, end);
    this.#names[slot] = name;
    return name;
  }

  #slotOf(buffer: Buffer, start: number, end: number): number {
    const first = buffer[start] ?? 0;
    const middle = buffer[(start + end) >>> 1] ?? 0;
    const last = buffer[end - 1] ?? 0;
    return ((end - start) * 59 + first * 31 + middle * 17 + last * 7) & (slots - 1);
  }
}

/** Only true of ASCII: text of other bytes is shorter than they are, or has U+FFFD, which is no byte. */
function isSame(name: string, buffer: Buffer, start: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let index = 0; index < length; index++) {
    if (name.charCodeAt(index) !== buffer[start + index]) return false;
  }
  return true;
}

/** Header fields, or other names with values, as byte strings (latin1). */
export type Pairs = readonly (readonly [name: string, value: string])[];

const maxBytes = 1 << 20;
const maxPairs = 1024;

/** Bytes that the pairs take in the ABI's format; 0 for no pairs, which guests get as an empty buffer. */
export function pairsSize(pairs: Pairs): number {
  if (pairs.length === 0) return 0;
  let size = 4;
  for (const [name, value] of pairs) size += 10 + name.length + value.length;
  return size;
}

/**
 * Writes the pairs at the buffer's offset, where `pairsSize` bytes must be free: the count, the lengths of every name and
 * value, then every name and value with a NUL after it.
 */
export function writePairs(pairs: Pairs, buffer: Buffer, offset: number): void {
  if (pairs.length === 0) return;
  buffer.writeUInt32LE(pairs.length, offset);
  let lengthAt = offset + 4;
  let at = lengthAt + pairs.length * 8;
  for (const [name, value] of pairs) {
    buffer.writeUInt32LE(name.length, lengthAt);
    buffer.writeUInt32LE(value.length, lengthAt + 4);
    lengthAt += 8;
    at += buffer.write(name, at, "latin1");
    buffer[at++] = 0;
    at += buffer.write(value, at, "latin1");
    buffer[at++] = 0;
  }
}

/** The pairs in the ABI's format, as bytes of their own. */
export function encodePairs(pairs: Pairs): Uint8Array {
  const buffer = Buffer.alloc(pairsSize(pairs));
  writePairs(pairs, buffer, 0);
  return buffer;
}

/**
 * Reads pairs from a range of the buffer, which lies inside it. No bytes, a single NUL and a count of 0 are no pairs;
 * undefined when the bytes are not of the format, or are more than 1 MiB or 1024 pairs.
 */
export function readPairs(buffer: Buffer, offset: number, size: number): [string, string][] | undefined {
  if (size === 0 || (size === 1 && buffer[offset] === 0)) return [];
  if (size < 4 || size > maxBytes) return undefined;
  const count = buffer.readUInt32LE(offset);
  const end = offset + size;
  if (count > maxPairs || 4 + count * 8 > size) return undefined;
  const pairs: [string, string][] = [];
  let at = offset + 4 + count * 8;
  for (let lengthAt = offset + 4; pairs.length < count; lengthAt += 8) {
    const nameEnd = at + buffer.readUInt32LE(lengthAt);
    if (nameEnd >= end || buffer[nameEnd] !== 0) return undefined;
    const valueEnd = nameEnd + 1 + buffer.readUInt32LE(lengthAt + 4);
    if (valueEnd >= end || buffer[valueEnd] !== 0) return undefined;
    pairs.push([buffer.toString("latin1", at, nameEnd), buffer.toString("latin1", nameEnd + 1, valueEnd)]);
    at = valueEnd + 1;
  }
  return at === end ? pairs : undefined;
}

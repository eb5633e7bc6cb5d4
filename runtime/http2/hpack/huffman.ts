import { ConnectionError, errorCode } from "../error-code.ts";

/**
 * How many bits each octet takes, and the end of string (RFC 7541, appendix B). The code is canonical: among codes of one
 * length the values rise with the octet, and each length goes on where the shorter one stopped. So the lengths say it all.
 */
const bitLengths: readonly number[] = [
  [13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28],
  [28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12],
  [
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6,
  ],
  [5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22],
  [23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20],
  [22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22],
  [23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26],
  [26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27],
  [27, 27, 28, 27, 27, 27, 27, 27, 26, 30],
].flat();

const endOfString = 256;
const codes = canonicalCodes();

/** In two passes over the octets: this runs at every start, and a longer loop has the optimizing compiler wake up for it. */
function canonicalCodes(): Uint32Array {
  const counts = new Uint32Array(32);
  for (const bits of bitLengths) counts[bits] = (counts[bits] ?? 0) + 1;
  const next = new Uint32Array(32);
  for (let bits = 1; bits < 32; bits += 1) next[bits] = 2 * ((next[bits - 1] ?? 0) + (counts[bits - 1] ?? 0));
  return Uint32Array.from(bitLengths, (bits) => {
    const code = next[bits] ?? 0;
    next[bits] = code + 1;
    return code;
  });
}

/** What four more bits lead to, by node of the code's tree: the next node, the octet that ended, and marks. */
const emits = 1 << 16;
const accepts = 1 << 17;
const fails = 1 << 18;
let transitions: Uint32Array | undefined;

/** A decoder that goes four bits at a time: no code is shorter than five, so a step ends at most one octet. */
function buildTransitions(): Uint32Array {
  // Children of each inner node; a leaf is -1 minus its octet.
  const children: [number, number][] = [[0, 0]];
  for (const [symbol, bits] of bitLengths.entries()) {
    let node = 0;
    for (let bit = bits - 1; bit >= 0; bit -= 1) {
      const pair = children[node] ?? [0, 0];
      const side = ((codes[symbol] ?? 0) >>> bit) & 1;
      if (bit === 0) pair[side] = -1 - symbol;
      else {
        if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
        node = pair[side] ?? 0;
      }
    }
  }
  const table = new Uint32Array(children.length * 16);
  const padding = nodesOfPadding(children);
  for (let from = 0; from < children.length; from += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) table[from * 16 + nibble] = step(children, padding, from, nibble);
  }
  return table;
}

/** The nodes where a string may stop: less than a whole octet of the end-of-string's beginning (section 5.2). */
function nodesOfPadding(children: readonly [number, number][]): Set<number> {
  const nodes = new Set<number>([0]);
  let node = 0;
  for (let bits = 0; bits < 7; bits += 1) {
    node = children[node]?.[1] ?? 0;
    nodes.add(node);
  }
  return nodes;
}

function step(
  children: readonly [number, number][],
  padding: ReadonlySet<number>,
  from: number,
  nibble: number,
): number {
  let node = from;
  let result = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const child = children[node]?.[(nibble >>> bit) & 1] ?? 0;
    if (child >= 0) {
      node = child;
      continue;
    }
    const symbol = -1 - child;
    if (symbol === endOfString) return fails;
    result = emits | (symbol << 8);
    node = 0;
  }
  return result | (padding.has(node) ? accepts : 0) | node;
}

/** Text of a header field is short; longer text takes room of its own. */
const shortText = Buffer.allocUnsafeSlow(4096);

/** The octets of `bytes[start..end)`, one character each. Throws ConnectionError when the padding or a code is wrong. */
export function decodeHuffman(bytes: Buffer, start: number, end: number): string {
  transitions ??= buildTransitions();
  const table = transitions;
  const mostOctets = Math.floor(((end - start) * 8) / 5);
  const text = mostOctets <= shortText.length ? shortText : Buffer.allocUnsafe(mostOctets);
  let at = 0;
  let entry = accepts;
  for (let from = start; from < end; from += 1) {
    const octet = bytes[from] ?? 0;
    entry = table[((entry & 0xff) << 4) | (octet >>> 4)] ?? fails;
    if ((entry & emits) !== 0) text[at++] = entry >>> 8;
    if ((entry & fails) !== 0) break;
    entry = table[((entry & 0xff) << 4) | (octet & 15)] ?? fails;
    if ((entry & emits) !== 0) text[at++] = entry >>> 8;
    if ((entry & fails) !== 0) break;
  }
  if ((entry & accepts) === 0) throw new ConnectionError(errorCode.COMPRESSION_ERROR, "a Huffman code ends wrongly");
  return text.toString("latin1", 0, at);
}

/** How many octets `encodeHuffman` writes. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at += 1) bits += bitLengths[text.charCodeAt(at) & 0xff] ?? 0;
  return (bits + 7) >>> 3;
}

/** Writes the code of the Latin-1 text; returns where it ends. */
export function encodeHuffman(text: string, bytes: Buffer, from: number): number {
  let at = from;
  let held = 0;
  let heldBits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const octet = text.charCodeAt(i) & 0xff;
    let code = codes[octet] ?? 0;
    let bits = bitLengths[octet] ?? 0;
    // At most 7 bits are held: together with 24 of the code they fit an integer.
    if (bits > 24) {
      const high = bits - 24;
      held = (held << high) | (code >>> 24);
      heldBits += high;
      if (heldBits >= 8) {
        heldBits -= 8;
        bytes[at++] = held >>> heldBits;
        held &= (1 << heldBits) - 1;
      }
      code &= 0xffffff;
      bits = 24;
    }
    held = (held << bits) | code;
    heldBits += bits;
    while (heldBits >= 8) {
      heldBits -= 8;
      bytes[at++] = held >>> heldBits;
    }
    held &= (1 << heldBits) - 1;
  }
  if (heldBits > 0) bytes[at++] = (held << (8 - heldBits)) | (0xff >>> heldBits);
  return at;
}

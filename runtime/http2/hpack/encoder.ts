import type { HeaderBlock } from "../header-block.ts";
import { DynamicTable, fieldBytes } from "./dynamic-table.ts";
import { encodeHuffman, huffmanBytes } from "./huffman.ts";
import { staticCount, staticNames, staticValues } from "./static-table.ts";

const defaultTableBytes = 4096;
/** Names a peer makes us send are not all worth remembering. */
const maxNames = 128;
/** Kept out of the table, so that nobody finds them by trying (RFC 7541, section 7.1). */
const secretNames = new Set(["authorization", "proxy-authorization", "set-cookie"]);
const shortCookie = 20;

/** A name in the static table: the index of its first entry, and of its values. */
interface StaticName {
  readonly index: number;
  readonly values: Map<string, number>;
}

const staticEntries = new Map<string, StaticName>();
for (let index = 1; index <= staticCount; index += 1) {
  const name = staticNames[index] ?? "";
  const value = staticValues[index] ?? "";
  const entry = staticEntries.get(name) ?? { index, values: new Map<string, number>() };
  if (value !== "") entry.values.set(value, index);
  staticEntries.set(name, entry);
}

/** What an encoder knows of a name. */
interface KnownName {
  readonly fixed: StaticName | undefined;
  readonly isSecret: boolean;
  /** The number of insertion of its newest entry; 0 for none. */
  newest: number;
  /** The number of insertion by value, of the entries that are in the table. */
  readonly values: Map<string, number>;
  /** The value sent last: one that comes twice goes into the table. */
  last: string | undefined;
  /** The name as a literal. */
  packed: Buffer | undefined;
}

/** Room to encode in, for whoever encodes now: results are used or copied before the next. */
const room = { bytes: Buffer.allocUnsafeSlow(16 * 1024) };

/**
 * Encodes the field sections of one direction of a connection (RFC 7541). A field is inserted into the table when it comes
 * the second time, so that what differs in every request (a trace, a date) never pushes out what repeats.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable(defaultTableBytes, (name, value) => {
    this.#names.get(name)?.values.delete(value);
  });
  readonly #names = new Map<string, KnownName>();
  /** Counts the changes of the table: an encoding made before the last one is not good any more. */
  #state = 0;
  /** The sizes to announce before the next section: the smallest since the last, and the one that holds. */
  #smallest: number | undefined;
  #at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. A larger table than the protocol's first one is not used. */
  setMaxTableBytes(bytes: number): void {
    const wanted = Math.min(bytes, defaultTableBytes);
    if (wanted === this.#table.maxBytes) return;
    this.#table.resize(wanted);
    this.#smallest = Math.min(this.#smallest ?? wanted, wanted);
    this.#state += 1;
  }

  /** The octets are valid until any encoder encodes again. Throws RangeError for a character above U+00FF. */
  encode(block: HeaderBlock): Buffer {
    if (block.encodedBy === this && block.encodedAt === this.#state && block.encoded !== undefined) {
      return block.encoded;
    }
    if (block.base !== undefined) return this.#encodeExtended(block, block.base);
    this.#at = 0;
    const { flat, sensitive } = block;
    const state = this.#state;
    this.#announceSize();
    try {
      for (let at = 0; at < flat.length; at += 2) this.#field(flat[at] ?? "", flat[at + 1] ?? "", sensitive);
    } catch (error) {
      this.#forget();
      throw error;
    }
    const bytes = room.bytes.subarray(0, this.#at);
    // A block that comes again is likely to come more often; one that is encoded once needs no copy.
    if (block.encodedBy === this && state === this.#state) {
      block.encoded = Buffer.from(bytes);
      block.encodedAt = state;
    } else {
      block.encodedBy = this;
      block.encodedAt = -1;
      block.encoded = undefined;
    }
    return bytes;
  }

  #encodeExtended({ flat }: HeaderBlock, base: HeaderBlock): Buffer {
    const begun = this.encode(base);
    this.#at = 0;
    this.#reserve(begun.length);
    if (begun.buffer !== room.bytes.buffer) begun.copy(room.bytes);
    this.#at = begun.length;
    try {
      for (let at = base.flat.length; at < flat.length; at += 2) {
        const name = flat[at] ?? "";
        const value = flat[at + 1] ?? "";
        const known = this.#names.get(name) ?? this.#learn(name);
        this.#reserve(24 + 4 * (name.length + value.length));
        this.#literal(known.isSecret ? 0x10 : 0, 0x0f, known, name, value);
      }
    } catch (error) {
      this.#forget();
      throw error;
    }
    return room.bytes.subarray(0, this.#at);
  }

  /** RFC 7541, section 4.2. */
  #announceSize(): void {
    const smallest = this.#smallest;
    if (smallest === undefined) return;
    this.#smallest = undefined;
    // The block being encoded, and those encoded before, must not carry the announcement again.
    this.#state += 1;
    const { maxBytes } = this.#table;
    this.#reserve(16);
    if (smallest < maxBytes) this.#integer(0x20, 0x1f, smallest);
    this.#integer(0x20, 0x1f, maxBytes);
  }

  /** The peer never sees the section being encoded, nor what it inserted: both tables begin anew. */
  #forget(): void {
    const { maxBytes } = this.#table;
    this.#table.resize(0);
    this.#table.resize(maxBytes);
    this.#smallest = 0;
    this.#state += 1;
  }

  #field(name: string, value: string, sensitive: readonly string[] | undefined): void {
    const known = this.#names.get(name) ?? this.#learn(name);
    const { fixed } = known;
    const isNever =
      known.isSecret || sensitive?.includes(name) === true || (name === "cookie" && value.length < shortCookie);
    this.#reserve(24 + 4 * (name.length + value.length));
    if (isNever) {
      this.#literal(0x10, 0x0f, known, name, value);
      return;
    }
    const whole = fixed?.values.get(value);
    if (whole !== undefined) {
      this.#integer(0x80, 0x7f, whole);
      return;
    }
    const insertion = known.values.get(value);
    if (insertion !== undefined) {
      this.#integer(0x80, 0x7f, this.#indexOf(insertion));
      return;
    }
    const fits = fieldBytes(name, value) <= this.#table.maxBytes;
    if (fits && known.last === value) this.#inserted(known, name, value);
    else {
      if (fits) known.last = value;
      this.#literal(0, 0x0f, known, name, value);
    }
  }

  #inserted(known: KnownName, name: string, value: string): void {
    this.#name(0x40, 0x3f, known, name);
    this.#packedText(value);
    this.#table.insert(name, value);
    this.#state += 1;
    known.newest = this.#table.inserted;
    known.values.set(value, known.newest);
  }

  /** Sections 6.2.2 and 6.2.3. What is sent once is not worth compressing on a loopback link. */
  #literal(pattern: number, mask: number, known: KnownName, name: string, value: string): void {
    this.#name(pattern, mask, known, name);
    this.#plainText(value);
  }

  #name(pattern: number, mask: number, known: KnownName, name: string): void {
    const index = known.fixed?.index ?? (this.#isPresent(known.newest) ? this.#indexOf(known.newest) : 0);
    this.#integer(pattern, mask, index);
    if (index === 0) this.#nameText(known, name);
  }

  /** A name that no table holds is compressed once. */
  #nameText(known: KnownName, name: string): void {
    const { packed } = known;
    if (packed !== undefined) {
      packed.copy(room.bytes, this.#at);
      this.#at += packed.length;
      return;
    }
    const start = this.#at;
    this.#packedText(name);
    known.packed = Buffer.from(room.bytes.subarray(start, this.#at));
  }

  #isPresent(insertion: number): boolean {
    return insertion > this.#table.inserted - this.#table.count;
  }

  #indexOf(insertion: number): number {
    return staticCount + 1 + this.#table.inserted - insertion;
  }

  #learn(name: string): KnownName {
    if (this.#names.size >= maxNames) this.#names.clear();
    const known: KnownName = {
      fixed: staticEntries.get(name),
      isSecret: secretNames.has(name),
      newest: 0,
      values: new Map(),
      last: undefined,
      packed: undefined,
    };
    this.#names.set(name, known);
    return known;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= room.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#at + bytes));
    room.bytes.copy(larger, 0, 0, this.#at);
    room.bytes = larger;
  }

  /** Section 5.1. */
  #integer(pattern: number, mask: number, value: number): void {
    const { bytes } = room;
    if (value < mask) {
      bytes[this.#at++] = pattern | value;
      return;
    }
    bytes[this.#at++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[this.#at++] = rest;
  }

  #plainText(text: string): void {
    this.#integer(0, 0x7f, text.length);
    const { bytes } = room;
    let at = this.#at;
    let all = 0;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      all |= code;
      bytes[at++] = code;
    }
    if (all > 0xff) throw tooWide(text);
    this.#at = at;
  }

  /** Huffman-coded where that is shorter. */
  #packedText(text: string): void {
    const length = huffmanBytes(text);
    if (length >= text.length) {
      this.#plainText(text);
      return;
    }
    for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0xff) throw tooWide(text);
    this.#integer(0x80, 0x7f, length);
    this.#at = encodeHuffman(text, room.bytes, this.#at);
  }
}

const tooWide = (text: string): RangeError =>
  new RangeError(`a header field holds ${JSON.stringify(text.slice(0, 64))}: only octets, as Latin-1, can be sent`);

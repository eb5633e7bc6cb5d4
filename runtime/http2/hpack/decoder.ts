import { ConnectionError, errorCode } from "../error-code.ts";
import { HeaderBlock } from "../header-block.ts";
import { DynamicTable, fieldBytes } from "./dynamic-table.ts";
import { decodeHuffman } from "./huffman.ts";
import { staticCount, staticNames, staticValues } from "./static-table.ts";

export interface DecoderLimits {
  /** SETTINGS_HEADER_TABLE_SIZE as the peer knows it. */
  readonly maxTableBytes: number;
  readonly maxHeaderListBytes: number;
  readonly maxHeaderFields: number;
}

const maxMemoSections = 64;
const maxMemoBytes = 512;
/** Between two sections: what a socket delivered must not be kept for as long as its connection lasts. */
const noBytes = Buffer.alloc(0);
/** After so many sections that nobody had sent before, remembering them is given up for a while. */
const missesBeforeRest = 64;
const restSections = 1024;

/** Decodes the field sections of one direction of a connection (RFC 7541). Equal sections give the same block. */
export class HpackDecoder {
  readonly #limits: DecoderLimits;
  readonly #table: DynamicTable;
  /** Sections by their octets, good while the table has not changed. Peers repeat most of theirs to the letter. */
  #memo: Map<string, HeaderBlock> | undefined;
  /** Sections since the last hit; negative while the memo rests. */
  #misses = 0;
  #bytes: Buffer = noBytes;
  #at = 0;
  #end = 0;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
    this.#table = new DynamicTable(limits.maxTableBytes);
  }

  /**
   * The section `bytes[start..end)`; undefined when it is larger than the limits, and the table has been kept in step.
   * Throws ConnectionError COMPRESSION_ERROR when it is malformed.
   */
  decode(bytes: Buffer, start: number, end: number): HeaderBlock | undefined {
    let key: string | undefined;
    if (end - start <= maxMemoBytes && (this.#misses >= 0 || ++this.#misses === 0)) {
      // A table that changes with every section has no memo to look into.
      if (this.#memo !== undefined) {
        key = bytes.toString("latin1", start, end);
        const known = this.#memo.get(key);
        if (known !== undefined) {
          this.#misses = 0;
          return known;
        }
      }
      this.#misses += 1;
    }
    const { inserted, count, maxBytes } = this.#table;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const block = this.#section();
    this.#bytes = noBytes;
    const after = this.#table;
    // A field that is too large, or a size of 0 for a moment, evicts and inserts nothing.
    if (after.inserted !== inserted || after.count !== count || after.maxBytes !== maxBytes) this.#memo = undefined;
    else if (block !== undefined && this.#misses > 0 && end - start <= maxMemoBytes) {
      this.#remember(key ?? bytes.toString("latin1", start, end), block);
    }
    return block;
  }

  #remember(key: string, block: HeaderBlock): void {
    if (this.#misses > missesBeforeRest) {
      this.#misses = -restSections;
      this.#memo = undefined;
      return;
    }
    this.#memo ??= new Map();
    if (this.#memo.size >= maxMemoSections) this.#memo.clear();
    this.#memo.set(key, block);
  }

  #section(): HeaderBlock | undefined {
    const { maxHeaderListBytes, maxHeaderFields } = this.#limits;
    const table = this.#table;
    const flat: string[] = [];
    let sensitive: string[] | undefined;
    let size = 0;
    let isTooLarge = false;
    let maySize = true;
    while (this.#at < this.#end) {
      const octet = this.#bytes[this.#at] ?? 0;
      let name: string;
      let value: string;
      if ((octet & 0x80) !== 0) {
        const index = this.#integer(0x7f);
        name = this.#name(index);
        value = index <= staticCount ? (staticValues[index] ?? "") : table.value(index - staticCount - 1);
      } else if ((octet & 0xe0) === 0x20) {
        if (!maySize) throw malformed("the size of the table changes within a section");
        this.#resize(this.#integer(0x1f));
        continue;
      } else {
        const isInserted = (octet & 0x40) !== 0;
        const index = this.#integer(isInserted ? 0x3f : 0x0f);
        name = index === 0 ? this.#text() : this.#name(index);
        value = this.#text();
        if (isInserted) table.insert(name, value);
        else if ((octet & 0x10) !== 0) {
          sensitive ??= [];
          if (!isTooLarge) sensitive.push(name);
        }
      }
      maySize = false;
      size += fieldBytes(name, value);
      if (size > maxHeaderListBytes || flat.length >= 2 * maxHeaderFields) isTooLarge = true;
      else flat.push(name, value);
    }
    return isTooLarge ? undefined : new HeaderBlock(flat, sensitive);
  }

  /** Section 6.3. */
  #resize(bytes: number): void {
    const { maxTableBytes } = this.#limits;
    if (bytes > maxTableBytes) throw malformed(`a table of ${bytes} octets; ${maxTableBytes} are allowed`);
    this.#table.resize(bytes);
  }

  /** Section 2.3.3. */
  #name(index: number): string {
    if (index > 0 && index <= staticCount) return staticNames[index] ?? "";
    const newest = index - staticCount - 1;
    if (newest < 0 || newest >= this.#table.count) throw malformed(`there is no field ${index}`);
    return this.#table.name(newest);
  }

  /** Section 5.1, up to 2^28: nothing larger has a meaning here. */
  #integer(mask: number): number {
    const bytes = this.#bytes;
    let value = (bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) throw malformed("an integer has no end");
      const octet = bytes[this.#at++] ?? 0;
      value += (octet & 0x7f) << shift;
      if ((octet & 0x80) === 0) return value;
    }
    throw malformed("an integer is too large");
  }

  /** Section 5.2. */
  #text(): string {
    const isHuffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    if (this.#at >= this.#end) throw malformed("a field is cut off");
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw malformed("a string is longer than the section");
    this.#at = end;
    return isHuffman ? decodeHuffman(this.#bytes, start, end) : this.#bytes.toString("latin1", start, end);
  }
}

const malformed = (message: string): ConnectionError =>
  new ConnectionError(errorCode.COMPRESSION_ERROR, `header compression: ${message}`);

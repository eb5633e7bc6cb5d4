import { NameCache } from "./name-cache.ts";

const wireType = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const;
const deepestGroup = 100;
const nothing = Buffer.alloc(0);

/** What is no message, told in one sentence. */
export class WireFormatError extends Error {
  override readonly name = "WireFormatError";
}

/**
 * Reads the fields of one message at a time from its bytes (https://protobuf.dev/programming-guides/encoding/). Every
 * method throws WireFormatError on bytes that do not fit. Kept honest by `npm run bench:codec`.
 */
export class WireReader {
  readonly #names = new NameCache();
  #buffer: Buffer = nothing;
  #position = 0;
  /** Where the message ends that is being read, itself or within another. */
  #end = 0;

  /** Makes the bytes the ones to read; `release` lets go of them. */
  begin(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#position = 0;
    this.#end = buffer.length;
  }

  release(): void {
    this.#buffer = nothing;
  }

  /** Field number and wire type of the next field, 0 at the end of the message. */
  tag(): number {
    if (this.#position >= this.#end) return 0;
    const tag = this.#varint();
    if (tag >>> 3 === 0) throw this.#malformed("has a field with the number 0");
    return tag;
  }

  int32(): number {
    return this.#varint() | 0;
  }

  /** Enums are open: a number that has no name is kept, whatever the type says. */
  enum<Value extends number>(): Value {
    return this.int32() as Value;
  }

  string(): string {
    const start = this.#enterBytes();
    return textOf(this.#buffer, start, this.#position);
  }

  /** A string that is likely to come again in other messages. */
  name(): string {
    const start = this.#enterBytes();
    return this.#names.read(this.#buffer, start, this.#position);
  }

  /** A part of the bytes that are read, not a copy: whoever keeps it copies it, lest it keeps all that was received with it. */
  bytes(): Buffer {
    const start = this.#enterBytes();
    return this.#buffer.subarray(start, this.#position);
  }

  /** Narrows the reader to the message in the field; `leave` takes what this returns. */
  enter(): number {
    const outerEnd = this.#end;
    const start = this.#enterBytes();
    this.#end = this.#position;
    this.#position = start;
    return outerEnd;
  }

  leave(outerEnd: number): void {
    this.#end = outerEnd;
  }

  /** Reads an entry of a map of strings, a message of a key (1) and a value (2), into the map. */
  textEntry(map: { [name: string]: string }): void {
    if (this.#shortEntry(map)) return;
    const outer = this.enter();
    let key = "";
    let value = "";
    for (let tag = this.tag(); tag !== 0; tag = this.tag()) {
      if (tag === 10) key = this.name();
      else if (tag === 18) value = this.name();
      else this.passOver(tag);
    }
    this.leave(outer);
    map[key] = value;
  }

  /** The entry at one go when it is short and its fields are in order, as most are; else nothing. */
  #shortEntry(map: { [name: string]: string }): boolean {
    const buffer = this.#buffer;
    const begin = this.#position;
    const length = buffer[begin] ?? 0x80;
    const keyLength = buffer[begin + 2] ?? 0x80;
    const keyEnd = begin + 3 + keyLength;
    const valueLength = buffer[keyEnd + 1] ?? 0x80;
    const end = begin + 1 + length;
    if (length > 0x7f || keyLength + valueLength + 4 !== length || end > this.#end) return false;
    if (buffer[begin + 1] !== 10 || buffer[keyEnd] !== 18) return false;
    map[this.#names.read(buffer, begin + 3, keyEnd)] = this.#names.read(buffer, keyEnd + 2, end);
    this.#position = end;
    return true;
  }

  /** Passes over a field that nobody knows. */
  passOver(tag: number): void {
    if ((tag & 7) === wireType.groupStart) this.#skipGroup(tag >>> 3);
    else this.#skipValue(tag);
  }

  #skipValue(tag: number): void {
    switch (tag & 7) {
      case wireType.varint:
        this.#varint();
        return;
      case wireType.fixed64:
        this.#advance(8);
        return;
      case wireType.bytes:
        this.#enterBytes();
        return;
      case wireType.fixed32:
        this.#advance(4);
        return;
      case wireType.groupEnd:
        throw this.#malformed("ends a group that did not begin");
      default:
        throw this.#malformed(`has a field with the wire type ${tag & 7}, which does not exist`);
    }
  }

  #skipGroup(field: number): void {
    const open = [field];
    while (open.length > 0) {
      const tag = this.tag();
      if (tag === 0) throw this.#malformed("ends within a group");
      if ((tag & 7) === wireType.groupStart) open.push(tag >>> 3);
      else if ((tag & 7) !== wireType.groupEnd) this.#skipValue(tag);
      else if (open.pop() !== tag >>> 3) throw this.#malformed("ends another group than it began");
      if (open.length > deepestGroup) throw this.#malformed(`nests groups deeper than ${deepestGroup}`);
    }
  }

  /** Passes over a length and the bytes it announces; returns where they begin. */
  #enterBytes(): number {
    const length = this.#varint();
    const start = this.#position;
    this.#advance(length);
    return start;
  }

  #advance(length: number): void {
    const position = this.#position + length;
    if (position > this.#end) throw this.#malformed(`ends within a field of ${length} bytes`);
    this.#position = position;
  }

  /** The low 32 bits of a varint, unsigned. */
  #varint(): number {
    const first = this.#buffer[this.#position] ?? 0;
    if (first >= 0x80 || this.#position >= this.#end) return this.#longVarint();
    this.#position++;
    return first;
  }

  #longVarint(): number {
    const buffer = this.#buffer;
    const end = this.#end;
    let position = this.#position;
    let value = 0;
    for (let shift = 0; position < end; shift += 7) {
      const byte = buffer[position++] ?? 0;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#position = position;
        return value >>> 0;
      }
      if (shift === 63) throw this.#malformed("has a number of more than ten bytes");
    }
    throw this.#malformed("ends within a number");
  }

  #malformed(what: string): WireFormatError {
    return new WireFormatError(`the message ${what} (near byte ${this.#position} of ${this.#buffer.length})`);
  }
}

const longestByHand = 16;

/** Crossing into native code costs more than a dozen characters do. */
function textOf(buffer: Buffer, start: number, end: number): string {
  if (end - start > longestByHand) return buffer.toString("utf8", start, end);
  let text = "";
  let position = start;
  for (; end - position >= 4; position += 4) {
    const a = buffer[position] ?? 0;
    const b = buffer[position + 1] ?? 0;
    const c = buffer[position + 2] ?? 0;
    const d = buffer[position + 3] ?? 0;
    if ((a | b | c | d) > 0x7f) return buffer.toString("utf8", start, end);
    text += String.fromCharCode(a, b, c, d);
  }
  for (; position < end; position++) {
    const byte = buffer[position] ?? 0;
    if (byte > 0x7f) return buffer.toString("utf8", start, end);
    text += String.fromCharCode(byte);
  }
  return text;
}

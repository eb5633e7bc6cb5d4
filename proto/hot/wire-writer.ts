const chunkBytes = 16 * 1024;
/** Text up to here has one byte of length, whatever its characters. */
const shortText = 42;
/** Crossing into native code costs more than a dozen characters do. */
const longestByHand = 16;
const longestVarint = 10;
/** Text up to here gets room for three bytes a character, unmeasured. */
const surelyTriple = 512;

/**
 * Writes one message at a time (https://protobuf.dev/programming-guides/encoding/). Small ones come to lie one behind the
 * other in chunks that they share; a large one has a buffer of its own. Kept honest by `npm run bench:codec`.
 */
export class WireWriter {
  #chunk = Buffer.allocUnsafeSlow(0);
  #buffer = this.#chunk;
  /** Where the message begins in the buffer, and where its next byte goes. */
  #start = 0;
  #position = 0;
  /** Where the next message begins in the chunk when this one has moved out of it. */
  #resumeAt = 0;

  begin(): void {
    this.#start = this.#position;
    this.#resumeAt = this.#position;
  }

  /** The bytes since `begin`. They are the caller's for good. */
  finish(): Buffer {
    const bytes = this.#buffer.subarray(this.#start, this.#position);
    if (this.#buffer !== this.#chunk) this.abandon();
    return bytes;
  }

  /** Gives up the message that was begun. */
  abandon(): void {
    this.#buffer = this.#chunk;
    this.#position = this.#resumeAt;
  }

  /** A number, unless it is 0, which is what an absent one is. */
  int32(tag: number, value: number): void {
    if (value === 0) return;
    this.#require(1 + longestVarint);
    this.#buffer[this.#position++] = tag;
    if (value > 0) this.#position = varint(this.#buffer, this.#position, value);
    else this.#negative(value);
  }

  /** Text, unless it is empty. */
  string(tag: number, value: string): void {
    if (value !== "") this.repeatedString(tag, value);
  }

  /** Text of a repeated field, where an empty one counts. */
  repeatedString(tag: number, value: string): void {
    const { length } = value;
    this.#require(6 + (length <= surelyTriple ? 3 * length : Buffer.byteLength(value)));
    this.#buffer[this.#position++] = tag;
    if (length > longestByHand || !writeAscii(this.#buffer, this.#position + 1, value)) {
      this.#text(value);
      return;
    }
    this.#buffer[this.#position] = length;
    this.#position += 1 + length;
  }

  /** Bytes, unless there are none. */
  bytes(tag: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.#require(6 + value.length);
    this.#buffer[this.#position++] = tag;
    this.#position = varint(this.#buffer, this.#position, value.length);
    this.#buffer.set(value, this.#position);
    this.#position += value.length;
  }

  /** Begins a message within the message. `close` takes what this returns; a good guess of its length saves a move. */
  open(tag: number, expectedBytes = 0): number {
    const room = varintLength(expectedBytes);
    this.#require(1 + longestVarint);
    this.#buffer[this.#position] = tag;
    this.#position += 1 + room;
    return this.#position - this.#start;
  }

  /** Ends the message within the message, and puts its length before it. */
  close(opened: number, expectedBytes = 0): void {
    const room = varintLength(expectedBytes);
    let begin = this.#start + opened;
    const length = this.#position - begin;
    const needed = varintLength(length);
    if (needed !== room) {
      this.#require(longestVarint);
      begin = this.#start + opened;
      this.#buffer.copyWithin(begin - room + needed, begin, this.#position);
      this.#position += needed - room;
    }
    varint(this.#buffer, begin - room, length);
  }

  /** An entry of a map of strings: a message of a key (1) and a value (2). */
  textEntry(tag: number, key: string, value: string): void {
    if (this.#shortEntry(tag, key, value)) return;
    const expected = key.length + value.length + 4;
    const opened = this.open(tag, expected);
    this.string(10, key);
    this.string(18, value);
    this.close(opened, expected);
  }

  /** The entry at one go when it is short and ASCII, as most are; else nothing. */
  #shortEntry(tag: number, key: string, value: string): boolean {
    const keyLength = key.length;
    const valueLength = value.length;
    if (keyLength === 0 || valueLength === 0 || keyLength > longestByHand || valueLength > longestByHand) return false;
    this.#require(6 + 2 * longestByHand);
    const buffer = this.#buffer;
    const begin = this.#position;
    buffer[begin] = tag;
    buffer[begin + 1] = keyLength + valueLength + 4;
    buffer[begin + 2] = 10;
    buffer[begin + 3] = keyLength;
    const valueAt = begin + 4 + keyLength;
    if (!writeAscii(buffer, begin + 4, key)) return false;
    buffer[valueAt] = 18;
    buffer[valueAt + 1] = valueLength;
    if (!writeAscii(buffer, valueAt + 2, value)) return false;
    this.#position = valueAt + 2 + valueLength;
    return true;
  }

  #text(value: string): void {
    const buffer = this.#buffer;
    const room = value.length <= shortText ? 1 : varintLength(value.length);
    const begin = this.#position + room;
    const length = buffer.write(value, begin);
    const needed = varintLength(length);
    if (needed !== room) buffer.copyWithin(begin - room + needed, begin, begin + length);
    varint(buffer, this.#position, length);
    this.#position += needed + length;
  }

  /** The numbers below 0 take ten bytes: they are extended to 64 bits. */
  #negative(value: number): void {
    const buffer = this.#buffer;
    let rest = value | 0;
    for (let count = 0; count < 9; count++) {
      buffer[this.#position++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    buffer[this.#position++] = 1;
  }

  #require(bytes: number): void {
    if (this.#position + bytes > this.#buffer.length) this.#grow(bytes);
  }

  /** Moves the message that was begun to where there is room: a new chunk, or a buffer of its own. */
  #grow(bytes: number): void {
    const written = this.#buffer.subarray(this.#start, this.#position);
    const needed = written.length + bytes;
    if (needed <= chunkBytes / 4) {
      this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
      this.#buffer = this.#chunk;
      this.#resumeAt = 0;
    } else {
      const isFirst = this.#buffer === this.#chunk;
      this.#buffer = Buffer.allocUnsafeSlow(isFirst ? needed + 64 : 2 * needed);
    }
    written.copy(this.#buffer);
    this.#position = written.length;
    this.#start = 0;
  }
}

/** False, with some of it written, when there is another character in the text. */
function writeAscii(buffer: Buffer, start: number, text: string): boolean {
  const { length } = text;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return false;
    buffer[start + index] = code;
  }
  return true;
}

function varint(buffer: Buffer, start: number, value: number): number {
  let position = start;
  let rest = value;
  while (rest > 0x7f) {
    buffer[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[position++] = rest;
  return position;
}

function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

// The wire format of protocol buffers, for the generated messages in gen/.
import { failure, Result, StatusCode, success } from "./status";
import { decodeRange, encodeBuffer } from "./text";

/** A message: `new GetStateRequest()`, fill, `encode()`; and back with `decode<GetStateRequest>(bytes)`. */
export abstract class ProtoMessage {
  /** Appends the fields that are not at their default. */
  abstract write(writer: ProtoWriter): void;
  /** Reads fields until the reader's limit; fields that are not known are skipped. */
  abstract read(reader: ProtoReader): void;

  /** The bytes of the message. */
  encode(): Uint8Array {
    const writer = new ProtoWriter();
    this.write(writer);
    return writer.finish();
  }
}

/** Reads a message; bytes that are not one give INTERNAL. */
export function decode<M extends ProtoMessage>(bytes: Uint8Array): Result<M> {
  const message = instantiate<M>();
  const reader = new ProtoReader(bytes);
  message.read(reader);
  if (reader.broken) return failure<M>(StatusCode.Internal, "the bytes are not a " + nameof<M>());
  return success<M>(message);
}

/** Appends fields to growing memory. */
export class ProtoWriter {
  private bytes: Uint8Array = new Uint8Array(128);
  private size: i32 = 0;

  /** What was written. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.size);
  }

  /** A whole number, or a tag: the field's number times 8, and its wire type. */
  varint(value: u64): void {
    this.reserve(10);
    this.size += putVarint(this.bytes.dataStart + this.size, value);
  }

  fixed32(value: u32): void {
    this.reserve(4);
    store<u32>(this.bytes.dataStart + this.size, value);
    this.size += 4;
  }

  fixed64(value: u64): void {
    this.reserve(8);
    store<u64>(this.bytes.dataStart + this.size, value);
    this.size += 8;
  }

  /** A text, with its length in front. */
  string(value: string): void {
    const text = encodeBuffer(value);
    this.varint(text.byteLength);
    this.raw(changetype<usize>(text), text.byteLength);
  }

  /** Bytes, with their length in front. */
  blob(value: Uint8Array): void {
    this.varint(value.byteLength);
    this.raw(value.dataStart, value.byteLength);
  }

  /** A field of type string, by its number. */
  stringField(field: u32, value: string): void {
    this.varint((field << 3) | 2);
    this.string(value);
  }

  /** A field of type bytes, by its number. */
  blobField(field: u32, value: Uint8Array): void {
    this.varint((field << 3) | 2);
    this.blob(value);
  }

  /** A field of a whole number, a truth value or an enumeration, by its number. */
  varintField(field: u32, value: u64): void {
    this.varint(field << 3);
    this.varint(value);
  }

  /** Begins what has a length in front of it; hand the answer to `close`. */
  open(): i32 {
    this.reserve(1);
    return this.size++;
  }

  /** Ends what `open` began: writes its length, and moves it when that takes more than the one byte kept free. */
  close(opened: i32): void {
    const length = this.size - opened - 1;
    let extra = 0;
    for (let rest = length >> 7; rest > 0; rest >>= 7) extra++;
    this.reserve(extra);
    const start = this.bytes.dataStart + opened;
    if (extra > 0) memory.copy(start + 1 + extra, start + 1, length);
    putVarint(start, length);
    this.size += extra;
  }

  private raw(start: usize, size: i32): void {
    this.reserve(size);
    memory.copy(this.bytes.dataStart + this.size, start, size);
    this.size += size;
  }

  private reserve(more: i32): void {
    const needed = this.size + more;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(max(needed, this.bytes.length * 2));
    memory.copy(grown.dataStart, this.bytes.dataStart, this.size);
    this.bytes = grown;
  }
}

/** Writes to reserved memory; answers how many bytes it took. */
function putVarint(start: usize, value: u64): i32 {
  let at = start;
  while (value > 0x7f) {
    store<u8>(at++, <u8>value | 0x80);
    value >>= 7;
  }
  store<u8>(at++, <u8>value);
  return <i32>(at - start);
}

/** Takes fields from bytes. What does not fit sets `broken` and ends the reading. */
export class ProtoReader {
  broken: bool = false;
  private position: i32 = 0;
  private limit: i32;

  constructor(private readonly bytes: Uint8Array) {
    this.limit = bytes.length;
  }

  /** Whether there is more to read before the limit. */
  more(): bool {
    return this.position < this.limit;
  }

  /** A whole number, or a tag. */
  varint(): u64 {
    let value: u64 = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (!this.more()) break;
      const byte = <u64>load<u8>(this.bytes.dataStart + this.position++);
      if (shift < 64) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.fail();
    return 0;
  }

  fixed32(): u32 {
    const at = this.advance(4);
    return at < 0 ? 0 : load<u32>(this.bytes.dataStart + at);
  }

  fixed64(): u64 {
    const at = this.advance(8);
    return at < 0 ? 0 : load<u64>(this.bytes.dataStart + at);
  }

  /** A text. */
  string(): string {
    const size = this.length();
    const at = this.advance(size);
    return at < 0 ? "" : decodeRange(this.bytes.dataStart + at, size);
  }

  /** A copy of the bytes. */
  blob(): Uint8Array {
    const size = this.length();
    const at = this.advance(size);
    return at < 0 ? new Uint8Array(0) : this.bytes.slice(at, at + size);
  }

  /** Narrows the reader to what has a length in front of it; hand the answer to `close`. */
  open(): i32 {
    const size = this.length();
    if (size < 0 || size > this.limit - this.position) {
      this.fail();
      return this.limit;
    }
    const outer = this.limit;
    this.limit = this.position + size;
    return outer;
  }

  /** Ends what `open` began. */
  close(outer: i32): void {
    if (this.broken) return;
    this.position = this.limit;
    this.limit = outer;
  }

  /** Leaves a field out. */
  skip(tag: u32): void {
    switch (tag & 7) {
      case 0: { this.varint(); break; }
      case 1: { this.advance(8); break; }
      case 2: { this.advance(this.length()); break; }
      case 5: { this.advance(4); break; }
      default: this.fail(); // groups do not occur in proto3
    }
  }

  private length(): i32 {
    const length = this.varint();
    return length > <u64>i32.MAX_VALUE ? -1 : <i32>length;
  }

  /** The position of the next `size` bytes, which it passes; -1 when they are not there. */
  private advance(size: i32): i32 {
    if (size < 0 || size > this.limit - this.position) {
      this.fail();
      return -1;
    }
    const at = this.position;
    this.position += size;
    return at;
  }

  private fail(): void {
    this.broken = true;
    this.position = this.limit;
  }
}

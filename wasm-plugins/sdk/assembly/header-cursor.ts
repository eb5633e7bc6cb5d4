import { decodeRange } from "./text";

/**
 * Goes through fields as they were when it was made, in order, and makes a string only of what is asked for:
 * `while (fields.next()) if (fields.nameIs("cookie")) log.info(fields.value);`
 */
export class HeaderCursor {
  /** How many fields there are. */
  readonly length: i32;
  private index: i32 = -1;
  /** Where the name of the field is, and how long name and value are. */
  private at: u32;
  private nameSize: u32 = 0;
  private valueSize: u32 = 0;

  /** Of pairs in the format of the ABI; of bytes that are none, no field. */
  constructor(private readonly pairs: ArrayBuffer) {
    const size = pairs.byteLength;
    const count: u32 = size < 4 ? 0 : load<u32>(changetype<usize>(pairs));
    this.length = count > <u32>(size / 10) ? 0 : <i32>count; // two lengths and two NULs each
    this.at = 4 + <u32>this.length * 8;
  }

  /** Goes to the next field, at first to the first; false behind the last. */
  next(): bool {
    const start = changetype<usize>(this.pairs);
    const index = this.index + 1;
    if (index >= this.length) return false;
    const at = index == 0 ? this.at : this.at + this.nameSize + this.valueSize + 2;
    const nameSize = load<u32>(start + 4 + <usize>index * 8);
    const valueSize = load<u32>(start + 8 + <usize>index * 8);
    if (<u64>at + nameSize + valueSize + 2 > <u64>this.pairs.byteLength) return false;
    this.index = index;
    this.at = at;
    this.nameSize = nameSize;
    this.valueSize = valueSize;
    return true;
  }

  /** Whether the field has that name, which is lower-case and ASCII; makes nothing. */
  nameIs(name: string): bool {
    if (this.index < 0 || <u32>name.length != this.nameSize) return false;
    const start = changetype<usize>(this.pairs) + this.at;
    for (let i = 0; i < name.length; i++) if (load<u8>(start + i) != name.charCodeAt(i)) return false;
    return true;
  }

  /** The field's name, lower-case; empty before the first `next`. */
  get name(): string {
    return this.index < 0 ? "" : decodeRange(changetype<usize>(this.pairs) + this.at, this.nameSize);
  }

  /** The field's value; empty before the first `next`. */
  get value(): string {
    const start = changetype<usize>(this.pairs) + this.at + this.nameSize + 1;
    return this.index < 0 ? "" : decodeRange(start, this.valueSize);
  }
}

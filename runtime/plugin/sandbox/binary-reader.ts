import { SandboxError } from "./sandbox-error.ts";

/** Reads the binary format strictly: numbers that are truncated, overlong or out of range are refused with their offset. */
export class BinaryReader {
  readonly bytes: Uint8Array;
  /** What is being read (`the import section`, `function 7`), for messages. */
  readonly place: string;
  readonly end: number;
  position: number;

  constructor(bytes: Uint8Array, place: string, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.place = place;
    this.position = start;
    this.end = end;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  /** Throws SandboxError: `what` is the beginning of a sentence, to which place and offset are added. */
  fail(what: string, offset: number = this.position): never {
    throw new SandboxError(`${what} (${this.place}, byte ${offset})`, offset);
  }

  u8(): number {
    const byte = this.position < this.end ? this.bytes[this.position] : undefined;
    if (byte === undefined) return this.fail("the module ends in the middle of something");
    this.position++;
    return byte;
  }

  /** An unsigned 32-bit LEB128 number. */
  u32(): number {
    const start = this.position;
    const first = this.bytes[start] ?? 0x80;
    if (first < 0x80 && start < this.end) {
      this.position = start + 1;
      return first;
    }
    let result = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
    const last = this.u8();
    if (last > 0x0f) this.fail("a number is longer than 32 bits", start);
    return (result | (last << 28)) >>> 0;
  }

  /** Passes a signed LEB128 number of so many bits. */
  skipSigned(bits: 32 | 64): void {
    const start = this.position;
    const full = Math.floor(bits / 7);
    for (let count = 0; count < full; count++) if (this.u8() < 0x80) return;
    const sign = 0x7f & (0x7f << ((bits % 7) - 1));
    const last = this.u8();
    if (last >= 0x80 || ((last & sign) !== 0 && (last & sign) !== sign))
      this.fail(`a number is longer than ${bits} bits`, start);
  }

  passOver(count: number): void {
    if (count > this.end - this.position) this.fail("the module ends in the middle of something");
    this.position += count;
  }

  /** Passes `count` bytes and returns a view of them. */
  take(count: number): Uint8Array {
    const start = this.position;
    this.passOver(count);
    return this.bytes.subarray(start, this.position);
  }

  /** The bytes of a length-prefixed name. */
  name(): Uint8Array {
    return this.take(this.u32());
  }
}

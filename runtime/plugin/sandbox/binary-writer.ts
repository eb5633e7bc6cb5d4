/** Writes the binary format into a buffer that grows. */
export class BinaryWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(byte: number): void {
    if (this.#length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** An unsigned LEB128 number below 2^32. */
  u32(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.u8(rest);
  }

  /** A signed LEB128 number; an integer that a number holds exactly. */
  signed(value: number): void {
    let rest = value;
    while (rest < -64 || rest > 63) {
      const next = Math.floor(rest / 128);
      this.u8(rest - next * 128 + 128);
      rest = next;
    }
    this.u8(rest & 0x7f);
  }

  bytes(source: Uint8Array): void {
    this.#reserve(source.length);
    this.#bytes.set(source, this.#length);
    this.#length += source.length;
  }

  /** The bytes of `source` from `start` up to `end`. */
  range(source: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.#reserve(count);
    const target = this.#bytes;
    const offset = this.#length - start;
    if (count > 48) target.set(source.subarray(start, end), this.#length);
    else for (let index = start; index < end; index++) target[offset + index] = source[index] ?? 0;
    this.#length += count;
  }

  /** Writes what `content` writes, preceded by its length. */
  sized(content: () => void): void {
    const start = this.#length;
    this.#reserve(5);
    this.#length += 5;
    content();
    const end = this.#length;
    this.#length = start;
    this.u32(end - start - 5);
    this.#bytes.copyWithin(this.#length, start + 5, end);
    this.#length += end - start - 5;
  }

  /** What was written; nothing can be written afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.buffer.transfer(this.#length));
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

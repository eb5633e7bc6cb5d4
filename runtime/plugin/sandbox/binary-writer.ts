const pageBytes = 65_536;
const mostPages = 65_536;

/**
 * Writes the binary format into a buffer that grows. A large one is a memory of WebAssembly: it grows where it lies, and all of it
 * goes back to the system when it is collected, of which malloc would keep megabytes.
 */
export class BinaryWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;
  readonly #memory: WebAssembly.Memory | undefined;

  constructor(capacity: number) {
    const initial = Math.ceil(capacity / pageBytes);
    this.#memory = initial > 1 ? new WebAssembly.Memory({ initial, maximum: mostPages }) : undefined;
    this.#bytes = new Uint8Array(this.#memory?.buffer ?? new ArrayBuffer(capacity));
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
    if (this.#memory !== undefined) return this.#bytes.subarray(0, this.#length);
    return new Uint8Array(this.#bytes.buffer.transfer(this.#length));
  }

  #reserve(count: number): void {
    const missing = this.#length + count - this.#bytes.length;
    if (missing <= 0) return;
    const more = Math.max(this.#bytes.length, missing);
    if (this.#memory !== undefined) {
      this.#memory.grow(Math.ceil(more / pageBytes));
      this.#bytes = new Uint8Array(this.#memory.buffer);
      return;
    }
    const larger = new Uint8Array(this.#bytes.length + more);
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

import { Status } from "./abi.ts";
import type { Meter } from "./meter.ts";
import { type Pairs, pairsSize, readPairs, writePairs } from "./pairs.ts";

/** Fuel for reading or writing a pair, beyond its bytes. */
const pairCost = 200;

/**
 * A guest's linear memory as hostcalls use it. Pointers and sizes come as the guest's i32 and are checked: reading outside
 * gives undefined, writing outside an error status. Every byte is charged. Growth detaches views, so none outlives a call
 * that may enter the guest.
 */
export class GuestMemory {
  readonly #meter: Meter;
  #memory: WebAssembly.Memory | undefined;
  #allocate: (size: number) => number = () => 0;
  #cached: Buffer = Buffer.alloc(0);

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  attach(memory: WebAssembly.Memory, allocate: (size: number) => number): void {
    this.#memory = memory;
    this.#allocate = allocate;
  }

  /** The guest's memory itself. */
  get linear(): WebAssembly.Memory | undefined {
    return this.#memory;
  }

  /** The memory as it is now; do not keep it across a call that enters the guest. */
  get buffer(): Buffer {
    // A view of a memory that grew is detached, and as long as 0.
    if (this.#cached.byteLength === 0 && this.#memory !== undefined) this.#cached = Buffer.from(this.#memory.buffer);
    return this.#cached;
  }

  holds(pointer: number, size: number): boolean {
    return (pointer >>> 0) + (size >>> 0) <= this.buffer.byteLength;
  }

  /** The bytes themselves, valid until the guest is entered. */
  borrow(pointer: number, size: number): Uint8Array | undefined {
    if (!this.holds(pointer, size)) return undefined;
    const start = pointer >>> 0;
    this.#meter.bytes(size >>> 0);
    return this.buffer.subarray(start, start + (size >>> 0));
  }

  /** A copy of the bytes. */
  copy(pointer: number, size: number): Uint8Array | undefined {
    const bytes = this.borrow(pointer, size);
    return bytes === undefined ? undefined : new Uint8Array(bytes);
  }

  /** The bytes as a string of one character each. */
  latin1(pointer: number, size: number): string | undefined {
    return this.#text(pointer, size, "latin1");
  }

  /** The bytes as UTF-8; what is not gives U+FFFD. */
  utf8(pointer: number, size: number): string | undefined {
    return this.#text(pointer, size, "utf8");
  }

  /** Pairs in the ABI's format; undefined when they are malformed or outside. */
  pairs(pointer: number, size: number): [string, string][] | undefined {
    if (!this.holds(pointer, size)) return undefined;
    this.#meter.bytes(size >>> 0);
    const pairs = readPairs(this.buffer, pointer >>> 0, size >>> 0);
    this.#meter.work((pairs?.length ?? 0) * pairCost);
    return pairs;
  }

  readU32(pointer: number): number | undefined {
    return this.holds(pointer, 4) ? this.buffer.readUInt32LE(pointer >>> 0) : undefined;
  }

  writeU32(pointer: number, value: number): boolean {
    if (!this.holds(pointer, 4)) return false;
    this.buffer.writeUInt32LE(value >>> 0, pointer >>> 0);
    return true;
  }

  writeU64(pointer: number, value: bigint): boolean {
    if (!this.holds(pointer, 8)) return false;
    this.buffer.writeBigUInt64LE(BigInt.asUintN(64, value), pointer >>> 0);
    return true;
  }

  writeBytes(pointer: number, bytes: Uint8Array): boolean {
    if (!this.holds(pointer, bytes.byteLength)) return false;
    this.#meter.bytes(bytes.byteLength);
    this.buffer.set(bytes, pointer >>> 0);
    return true;
  }

  /**
   * Gives the guest a copy of the bytes in memory of its allocator, and writes where and how many. No bytes are pointer 0
   * and size 0. `bytes` may be a view of anything but this memory.
   */
  give(bytes: Uint8Array, returnData: number, returnSize: number): Status {
    const size = bytes.byteLength;
    const pointer = this.#place(size, returnData, returnSize);
    if (pointer === undefined) return Status.INVALID_MEMORY_ACCESS;
    if (size > 0) this.buffer.set(bytes, pointer);
    return Status.OK;
  }

  /** The same for what need not be wanted: two pointers of 0 are none, and a size whose pointer is 0 is not written. */
  giveIfWanted(bytes: Uint8Array, returnData: number, returnSize: number): Status {
    if (returnSize !== 0) return this.give(bytes, returnData, returnSize);
    if (returnData === 0) return Status.OK;
    const pointer = this.#place(bytes.byteLength, returnData, undefined);
    if (pointer === undefined) return Status.INVALID_MEMORY_ACCESS;
    if (bytes.byteLength > 0) this.buffer.set(bytes, pointer);
    return Status.OK;
  }

  giveLatin1(text: string, returnData: number, returnSize: number): Status {
    const pointer = this.#place(text.length, returnData, returnSize);
    if (pointer === undefined) return Status.INVALID_MEMORY_ACCESS;
    if (text.length > 0) this.buffer.write(text, pointer, "latin1");
    return Status.OK;
  }

  givePairs(pairs: Pairs, returnData: number, returnSize: number): Status {
    this.#meter.work(pairs.length * pairCost);
    const pointer = this.#place(pairsSize(pairs), returnData, returnSize);
    if (pointer === undefined) return Status.INVALID_MEMORY_ACCESS;
    writePairs(pairs, this.buffer, pointer);
    return Status.OK;
  }

  /** Where `size` bytes may be written; the guest was told. Undefined when a pointer is outside or the allocator has none. */
  #place(size: number, returnData: number, returnSize: number | undefined): number | undefined {
    if (!this.holds(returnData, 4) || (returnSize !== undefined && !this.holds(returnSize, 4))) return undefined;
    let pointer = 0;
    if (size > 0) {
      this.#meter.bytes(size);
      pointer = this.#allocate(size) >>> 0;
      if (pointer === 0 || !this.holds(pointer, size)) return undefined;
    }
    const buffer = this.buffer;
    buffer.writeUInt32LE(pointer, returnData >>> 0);
    if (returnSize !== undefined) buffer.writeUInt32LE(size, returnSize >>> 0);
    return pointer;
  }

  #text(pointer: number, size: number, encoding: "latin1" | "utf8"): string | undefined {
    if (!this.holds(pointer, size)) return undefined;
    const start = pointer >>> 0;
    this.#meter.bytes(size >>> 0);
    return this.buffer.toString(encoding, start, start + (size >>> 0));
  }
}

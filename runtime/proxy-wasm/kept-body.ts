import type { BodyBuffer } from "../plugin/contract.ts";

const nothing = Buffer.alloc(0);

/** A body that is kept as a whole. */
export class KeptBody implements BodyBuffer {
  #bytes: Buffer = nothing;

  get length(): number {
    return this.#bytes.length;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  read(start: number, length: number): Uint8Array {
    return this.#bytes.subarray(start, start + length);
  }

  splice(start: number, deleteCount: number, bytes: Uint8Array): void {
    const behind = this.#bytes.subarray(start + deleteCount);
    this.#bytes = Buffer.concat([this.#bytes.subarray(0, start), bytes, behind]);
  }
}

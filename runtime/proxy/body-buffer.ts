import type { BodyBuffer } from "../plugin/contract.ts";

const none = new Uint8Array(0);
const noChunks: readonly Uint8Array[] = [];

/** A guest that grows one body beyond this is stopped; bodies of honest plugins stay below `maxBufferBytes`. */
export const bodyCapBytes = 64 * 1024 ** 2;

/** Chunks that a reader is looked up behind; beyond, they are joined, which the next reads need not do again. */
const longestWalk = 16;

/**
 * A body as the chunks it arrived in. Chunks are joined only when a reader wants a range that spans several, or one behind
 * many, or a change falls inside; what is appended, prepended and taken again is never copied.
 */
export class ChunkedBody implements BodyBuffer {
  /** Made with the first chunk: most bodies of most filters stay empty. */
  #chunks: Uint8Array[] | undefined = undefined;
  #length = 0;
  #changed = false;

  get length(): number {
    return this.#length;
  }

  /** Whether `splice` changed anything since the body was last taken. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Adds a chunk at the end without copying it; the caller must not write to it again. */
  append(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.#chunks === undefined) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Moves all of `other` to the end of this. */
  appendAll(other: ChunkedBody): void {
    if (this.#chunks === undefined) {
      this.#chunks = other.#chunks;
      this.#length = other.#length;
    } else if (other.#chunks !== undefined) for (const chunk of other.#chunks) this.append(chunk);
    if (other.#changed) this.#changed = true;
    other.clear();
  }

  /** Hands out the chunks and is empty afterwards. */
  take(): readonly Uint8Array[] {
    const chunks = this.#chunks ?? noChunks;
    this.clear();
    return chunks;
  }

  clear(): void {
    this.#chunks = undefined;
    this.#length = 0;
    this.#changed = false;
  }

  read(start: number, length: number): Uint8Array {
    const from = clamp(start, this.#length);
    const to = clamp(from + Math.max(0, length), this.#length);
    if (from === to) return none;
    let offset = 0;
    let walked = 0;
    for (const chunk of this.#chunks ?? noChunks) {
      if (from >= offset && to <= offset + chunk.length) return chunk.subarray(from - offset, to - offset);
      if (from < offset + chunk.length || ++walked === longestWalk) break;
      offset += chunk.length;
    }
    return this.#join().subarray(from, to);
  }

  splice(start: number, deleteCount: number, bytes: Uint8Array): void {
    const from = clamp(start, this.#length);
    const to = clamp(from + Math.max(0, deleteCount), this.#length);
    const length = this.#length - (to - from) + bytes.length;
    if (length > bodyCapBytes) throw new RangeError(`a body may not grow beyond ${bodyCapBytes} bytes`);
    this.#changed = true;
    const inserted = bytes.length === 0 ? [] : [Uint8Array.from(bytes)];
    if (to - from === this.#length) this.#chunks = inserted;
    else if (this.#chunks !== undefined && from === to && from === this.#length) this.#chunks.push(...inserted);
    else if (this.#chunks !== undefined && from === to && from === 0) this.#chunks.unshift(...inserted);
    else {
      const whole = this.#join();
      const parts = [whole.subarray(0, from), ...inserted, whole.subarray(to)];
      this.#chunks = parts.filter((part) => part.length > 0);
    }
    this.#length = length;
  }

  #join(): Uint8Array {
    const chunks = this.#chunks ?? noChunks;
    const [first] = chunks;
    if (chunks.length === 1 && first !== undefined) return first;
    const whole = Buffer.concat(chunks, this.#length);
    this.#chunks = [whole];
    return whole;
  }
}

function clamp(value: number, max: number): number {
  return Math.min(Math.max(value, 0), max);
}

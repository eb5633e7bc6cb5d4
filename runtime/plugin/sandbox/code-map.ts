import { deflateRawSync, inflateRawSync } from "node:zlib";
import { BinaryReader } from "./binary-reader.ts";
import { BinaryWriter } from "./binary-writer.ts";

/**
 * Notes where the code of a module goes while it is rewritten, in LEB128 numbers of which most take a byte. First the number
 * of imported functions and where the first body's length lies; then of each function
 * - the length of its entry, and in it: where its body began, counted from where the one before did, how many bytes were not
 *   copied at its beginning, and by turns how many bytes were put in and how many copied
 * - how many bytes it takes in the rewritten module, its length included.
 * Compressed it has a fortieth of the module's size.
 */
export class CodeMapWriter {
  readonly #out = new BinaryWriter(4_096);
  #importedFunctions = 0;
  #originalStart = 0;
  /** Where the output was at the first body, and how far it got in the body that is written. */
  #first = 0;
  #firstFromEnd = 0;
  #at = 0;

  begin(importedFunctions: number, at: number): void {
    this.#importedFunctions = importedFunctions;
    this.#first = at;
  }

  /** `write` writes the body that begins at `start`, with its length, of which the first bytes copied lie at `copied`. */
  body(start: number, copied: number, out: BinaryWriter, write: () => void): void {
    const before = out.length;
    this.#out.sized(() => {
      this.#out.u32(start - this.#originalStart);
      this.#out.u32(copied - start);
      write();
    });
    this.#originalStart = start;
    this.#out.u32(out.length - before);
  }

  /** Behind the length of the body. */
  opened(at: number): void {
    this.#at = at;
  }

  /** So many bytes are copied to `at`; together the ranges leave nothing out. */
  copied(count: number, at: number): void {
    if (count === 0) return;
    this.#out.u32(at - this.#at);
    this.#out.u32(count);
    this.#at = at + count;
  }

  /** The section ends at `at`; it may be moved as a whole. */
  end(at: number): void {
    this.#firstFromEnd = at - this.#first;
  }

  finish(sectionEnd: number): Uint8Array<ArrayBuffer> {
    const whole = new BinaryWriter(this.#out.length + 10);
    whole.u32(this.#importedFunctions);
    whole.u32(sectionEnd - this.#firstFromEnd);
    whole.bytes(this.#out.finish());
    return new Uint8Array(deflateRawSync(whole.finish(), { level: 1 }));
  }
}

/** A function and an offset in the module that was rewritten. */
export interface CodePlace {
  readonly functionIndex: number;
  readonly offset: number;
}

/** Where the places lie in the original module; undefined for those in functions that were added. */
export function originalOffsets(map: Uint8Array, places: readonly CodePlace[]): (number | undefined)[] {
  const whole = inflateRawSync(map);
  return places.map((place) => originalOffset(whole, place));
}

function originalOffset(map: Uint8Array, { functionIndex, offset }: CodePlace): number | undefined {
  const reader = new BinaryReader(map, "map of the code");
  let index = reader.u32();
  let rewritten = reader.u32();
  let original = 0;
  for (; !reader.done && index <= functionIndex; index++) {
    const entry = reader.take(reader.u32());
    const size = reader.u32();
    const numbers = new BinaryReader(entry, "map of a function");
    original += numbers.u32();
    if (index === functionIndex) return placeIn(numbers, original, offset - rewritten - lengthOfLength(size));
    rewritten += size;
  }
  return undefined;
}

/** What was put in belongs to the instruction behind it. */
function placeIn(numbers: BinaryReader, bodyStart: number, offset: number): number {
  let original = bodyStart + numbers.u32();
  let rewritten = 0;
  while (!numbers.done) {
    rewritten += numbers.u32();
    const copied = numbers.u32();
    if (offset < rewritten + copied) return original + Math.max(0, offset - rewritten);
    rewritten += copied;
    original += copied;
  }
  return original;
}

/** How many of so many bytes are the LEB128 number that tells how many follow. */
function lengthOfLength(size: number): number {
  let bytes = 1;
  while (size - bytes >= 2 ** (7 * bytes)) bytes++;
  return bytes;
}

/** How a WebAssembly binary, module or component, is framed: a preamble and sections, each with its id and length. */

export interface Section {
  readonly id: number;
  /** Where the section begins, its id included. */
  readonly start: number;
  /** Where its content begins and ends. */
  readonly contentStart: number;
  readonly end: number;
}

const preambleBytes = 8;
const magic = [0x00, 0x61, 0x73, 0x6d];

/** What is wrong with the frame of a file that should hold WebAssembly. */
export interface FrameProblem {
  /** `incomplete`: more bytes could make it whole. */
  readonly kind: "incomplete" | "foreign";
  readonly message: string;
}

/** Says what is wrong with the frame, or undefined when it is whole. A file cut off between two sections looks whole. */
export function frameProblem(bytes: Uint8Array): FrameProblem | undefined {
  if (bytes.length === 0) return incomplete("the file is empty");
  if (magic.some((byte, index) => index < bytes.length && bytes[index] !== byte)) {
    return { kind: "foreign", message: "the file is not WebAssembly; expected it to begin with \\0asm" };
  }
  if (bytes.length < preambleBytes) return incomplete(`the file ends after ${bytes.length} bytes, inside the preamble`);
  let at = preambleBytes;
  while (at < bytes.length) {
    const section = readSection(bytes, at);
    if (section === undefined) return incomplete(`the file ends inside the head of the section at byte ${at}`);
    if (section.end > bytes.length) {
      return incomplete(`the section at byte ${at} needs ${section.end} bytes, the file has ${bytes.length}`);
    }
    at = section.end;
  }
  return at === preambleBytes ? incomplete("the file ends after the preamble") : undefined;
}

const incomplete = (message: string): FrameProblem => ({ kind: "incomplete", message });

/** The first section of a whole or cut off file; undefined when not even its head is there. */
export function firstSection(bytes: Uint8Array): Section | undefined {
  return bytes.length > preambleBytes ? readSection(bytes, preambleBytes) : undefined;
}

/** Every section of a whole file, in its order. */
export function* sectionsOf(bytes: Uint8Array): Generator<Section> {
  for (let at = preambleBytes; at < bytes.length; ) {
    const section = readSection(bytes, at);
    if (section === undefined) return;
    yield section;
    at = section.end;
  }
}

function readSection(bytes: Uint8Array, start: number): Section | undefined {
  const length = readLeb(bytes, start + 1);
  if (length === undefined) return undefined;
  return { id: bytes[start] ?? 0, start, contentStart: length.end, end: length.end + length.value };
}

/** An unsigned LEB128 number of up to 32 bits, and where it ends. */
export function readLeb(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  return { value: Number.POSITIVE_INFINITY, end: start + 5 };
}

/** The LEB128 form of a number. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return bytes;
}

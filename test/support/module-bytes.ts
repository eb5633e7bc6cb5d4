/** Bytes of modules that assemblers do not make: malformed ones, and features that they do not know. */

/** Up to 127 entries of a section, and no more than 16,383 bytes. */
export function section(id: number, ...entries: readonly (readonly number[])[]): number[] {
  return rawSection(id, [entries.length, ...entries.flat()]);
}

export function rawSection(id: number, contents: readonly number[]): number[] {
  return [id, (contents.length & 0x7f) | 0x80, contents.length >> 7, ...contents];
}

/** A module of the sections given. */
export function moduleBytes(...sections: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}

/** A function's body without locals: its instructions, and the `end`. */
export function body(...instructions: readonly number[]): number[] {
  const code = [0, ...instructions, 0x0b];
  return [(code.length & 0x7f) | 0x80, code.length >> 7, ...code];
}

/** A module with one function of no parameters and no results, exported as `run`, and a memory of one page. */
export function moduleOf(...instructions: readonly number[]): Uint8Array<ArrayBuffer> {
  return moduleBytes(
    section(1, [0x60, 0, 0]),
    section(3, [0]),
    section(5, [0, 1]),
    section(7, [3, 0x72, 0x75, 0x6e, 0, 0]),
    section(10, body(...instructions)),
  );
}

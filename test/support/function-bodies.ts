import { BinaryReader } from "../../runtime/plugin/sandbox/binary-reader.ts";

const codeSection = 10;

/** Where the bodies of a module's functions begin and end, in their order. */
export function functionBodies(module: Uint8Array): { readonly start: number; readonly end: number }[] {
  const reader = new BinaryReader(module, "module", 8);
  while (!reader.done) {
    const isCode = reader.u8() === codeSection;
    const size = reader.u32();
    if (!isCode) {
      reader.passOver(size);
      continue;
    }
    return Array.from({ length: reader.u32() }, () => {
      const length = reader.u32();
      const start = reader.position;
      reader.passOver(length);
      return { start, end: reader.position };
    });
  }
  return [];
}

import { BinaryReader } from "../../runtime/plugin/sandbox/binary-reader.ts";

/** The module without its custom sections, which hold its names. */
export function withoutNames(module: Uint8Array): Uint8Array<ArrayBuffer> {
  const reader = new BinaryReader(module, "module");
  const kept: Uint8Array[] = [reader.take(8)];
  while (!reader.done) {
    const start = reader.position;
    const id = reader.u8();
    reader.passOver(reader.u32());
    if (id !== 0) kept.push(module.subarray(start, reader.position));
  }
  return new Uint8Array(Buffer.concat(kept));
}

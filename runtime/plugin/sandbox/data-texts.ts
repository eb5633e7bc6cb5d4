import { BinaryReader } from "./binary-reader.ts";
import { sectionId } from "./module-layout.ts";

const preambleBytes = 8;

/** Those of the texts that are among the data of a whole module, in UTF-8 or in UTF-16, as AssemblyScript has its own. */
export function textsInData(module: Uint8Array, texts: readonly string[]): string[] {
  const data = dataOf(module);
  return texts.filter(
    (text) => data.includes(Buffer.from(text, "utf8")) || data.includes(Buffer.from(text, "utf16le")),
  );
}

function dataOf(module: Uint8Array): Buffer {
  const reader = new BinaryReader(module, "module", preambleBytes);
  while (!reader.done) {
    const id = reader.u8();
    const { buffer, byteOffset, length } = reader.take(reader.u32());
    if (id === sectionId.data) return Buffer.from(buffer, byteOffset, length);
  }
  return Buffer.alloc(0);
}

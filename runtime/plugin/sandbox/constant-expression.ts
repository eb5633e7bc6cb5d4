import type { BinaryReader } from "./binary-reader.ts";
import { op, refusedOpcode } from "./opcodes.ts";
import { referenceType } from "./types.ts";

/** Passes a constant expression up to its end. Functions and globals that it names must lie below the counts given. */
export function constantExpression(reader: BinaryReader, functions: number, globals: number): void {
  for (;;) {
    const offset = reader.position;
    const opcode = reader.u8();
    if (opcode === op.end) return;
    switch (opcode) {
      case op.i32Const:
        reader.skipSigned(32);
        break;
      case op.i64Const:
        reader.skipSigned(64);
        break;
      case 0x43:
        reader.passOver(4);
        break;
      case 0x44:
        reader.passOver(8);
        break;
      case op.globalGet:
        if (reader.u32() >= globals) reader.fail("a constant names a global that does not exist", offset);
        break;
      case 0xd0:
        referenceType(reader);
        break;
      case 0xd2:
        if (reader.u32() >= functions) reader.fail("a constant names a function that does not exist", offset);
        break;
      case op.vectorPrefix:
        if (reader.u32() !== 12) reader.fail("a constant is computed by an instruction that is not constant", offset);
        reader.passOver(16);
        break;
      case 0x6a:
      case 0x6b:
      case 0x6c:
      case 0x7c:
      case 0x7d:
      case 0x7e:
        break;
      default:
        reader.fail(`a constant uses ${refusedOpcode(opcode)}, which the sandbox refuses`, offset);
    }
  }
}

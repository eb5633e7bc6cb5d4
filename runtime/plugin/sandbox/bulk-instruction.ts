import type { BinaryReader } from "./binary-reader.ts";
import type { lengthCharges } from "./body-plan.ts";
import { instructionCosts } from "./instruction-costs.ts";
import { memoryIndex } from "./straight-line.ts";

/** An instruction with the prefix 0xfc: its cost, and how its length is charged when it has one. */
export interface BulkInstruction {
  readonly cost: number;
  readonly charge: (typeof lengthCharges)[number] | undefined;
}

const { simple, table, bulk, grow } = instructionCosts;
const saturating: BulkInstruction = { cost: simple, charge: undefined };
const shape: BulkInstruction = { cost: table, charge: undefined };
const onBytes: BulkInstruction = { cost: bulk, charge: "bytes" };
const onEntries: BulkInstruction = { cost: bulk, charge: "entries" };
const tableGrowth: BulkInstruction = { cost: grow, charge: "tableGrowth" };

/** Reads what follows the prefix 0xfc. Throws SandboxError. */
export function bulkInstruction(reader: BinaryReader): BulkInstruction {
  const at = reader.position;
  const opcode = reader.u32();
  if (opcode <= 7) return saturating;
  switch (opcode) {
    case 8: // memory.init
      reader.u32();
      memoryIndex(reader);
      return onBytes;
    case 10: // memory.copy
      memoryIndex(reader);
      memoryIndex(reader);
      return onBytes;
    case 11: // memory.fill
      memoryIndex(reader);
      return onBytes;
    case 12: // table.init
    case 14: // table.copy
      reader.u32();
      reader.u32();
      return onEntries;
    case 17: // table.fill
      reader.u32();
      return onEntries;
    case 15: // table.grow
      reader.u32();
      return tableGrowth;
    case 9: // data.drop
    case 13: // elem.drop
    case 16: // table.size
      reader.u32();
      return shape;
    default:
      return reader.fail(`the module uses the unknown instruction 0xfc 0x${opcode.toString(16)}`, at);
  }
}

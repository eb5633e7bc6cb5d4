import type { BinaryReader } from "./binary-reader.ts";
import type { LengthCharge } from "./body-plan.ts";
import { instructionCosts } from "./instruction-costs.ts";
import { memoryIndex } from "./straight-line.ts";

/** An instruction with the prefix 0xfc: its cost, its effect on the stack, and how its length is charged when it has one. */
export interface BulkInstruction {
  readonly cost: number;
  readonly effect: number;
  readonly charge: LengthCharge | undefined;
}

const { simple, table, bulk, grow } = instructionCosts;
const saturating: BulkInstruction = { cost: simple, effect: 0, charge: undefined };
const dropped: BulkInstruction = { cost: table, effect: 0, charge: undefined };
const tableSize: BulkInstruction = { cost: table, effect: 1, charge: undefined };
const onBytes: BulkInstruction = { cost: bulk, effect: -3, charge: "bytes" };
const onEntries: BulkInstruction = { cost: bulk, effect: -3, charge: "entries" };
const tableGrowth: BulkInstruction = { cost: grow, effect: -1, charge: "tableGrowth" };

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
      reader.u32();
      return dropped;
    case 16: // table.size
      reader.u32();
      return tableSize;
    default:
      return reader.fail(`the module uses the unknown instruction 0xfc 0x${opcode.toString(16)}`, at);
  }
}

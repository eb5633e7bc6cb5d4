import type { BinaryReader } from "./binary-reader.ts";

/** How many values a function or a block takes and gives. */
export interface Arity {
  readonly parameters: number;
  readonly results: number;
}

const allowedValueTypes = new Set([0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f, 0x69]);
const allowedHeapTypes = new Set([0x70, 0x6f, 0x69]);

const refusedTypes: Readonly<Record<number, string>> = {
  99: "typed references",
  100: "typed references",
  101: "shared types",
  106: "garbage collection (arrayref)",
  107: "garbage collection (structref)",
  108: "garbage collection (i31ref)",
  109: "garbage collection (eqref)",
  110: "garbage collection (anyref)",
  113: "garbage collection (nullref)",
  114: "garbage collection (nullexternref)",
  115: "garbage collection (nullfuncref)",
  116: "garbage collection (nullexnref)",
};

function refuseType(reader: BinaryReader, type: number, offset: number): never {
  const name = refusedTypes[type];
  if (name !== undefined) return reader.fail(`the module uses ${name}, which the sandbox refuses`, offset);
  return reader.fail(`the module uses the unknown type 0x${type.toString(16)}`, offset);
}

/** Passes a value type. */
export function valueType(reader: BinaryReader): void {
  const offset = reader.position;
  const type = reader.u8();
  if (!allowedValueTypes.has(type)) refuseType(reader, type, offset);
}

/** Passes the heap type of `ref.null`, or the type of a table's entries. */
export function referenceType(reader: BinaryReader): void {
  const offset = reader.position;
  const type = reader.u8();
  if (!allowedHeapTypes.has(type)) refuseType(reader, type, offset);
}

const nothing: Arity = { parameters: 0, results: 0 };
const oneResult: Arity = { parameters: 0, results: 1 };

/** Reads a block type: none, one result, or a type of the module. */
export function blockType(reader: BinaryReader, types: readonly Arity[]): Arity {
  const offset = reader.position;
  const first = reader.u8();
  if (first === 0x40) return nothing;
  if (first > 0x40 && first < 0x80) {
    if (!allowedValueTypes.has(first)) refuseType(reader, first, offset);
    return oneResult;
  }
  reader.position = offset;
  const index = reader.u32();
  const last = reader.bytes[reader.position - 1] ?? 0;
  const type = types[index];
  // A block type is a signed number: bit 6 of its last byte is the sign.
  if (type === undefined || (reader.position - offset < 5 && (last & 0x40) !== 0))
    return reader.fail("a block has a type that does not exist", offset);
  return type;
}

/** The limits of a memory or a table. */
export interface Limits {
  readonly minimum: number;
  readonly maximum: number | undefined;
}

/** Reads limits; shared, 64-bit and custom page sizes are refused. */
export function readLimits(reader: BinaryReader, what: "memory" | "table"): Limits {
  const offset = reader.position;
  const flags = reader.u8();
  if (flags > 7) return reader.fail(`the module's ${what} has unknown limits 0x${flags.toString(16)}`, offset);
  if ((flags & 4) !== 0)
    return reader.fail(`the module has a 64-bit ${what} (memory64), which the sandbox refuses`, offset);
  if ((flags & 2) !== 0)
    return reader.fail(`the module has a shared ${what} (threads), which the sandbox refuses`, offset);
  const minimum = reader.u32();
  const maximum = (flags & 1) !== 0 ? reader.u32() : undefined;
  if (maximum !== undefined && maximum < minimum)
    return reader.fail(`the module's ${what} has a maximum below its minimum`, offset);
  return { minimum, maximum };
}

/** What follows a one-byte opcode, in the order in which `straightLine` looks at it. */
export const immediate = {
  none: 0,
  /** An index that the rewriter does not look at. */
  table: 1,
  local: 2,
  global: 3,
  i32: 4,
  i64: 5,
  memory: 6,
  f32: 7,
  f64: 8,
  function: 9,
  heapType: 10,
  memorySize: 11,
  vector: 12,
  /** From here on the flow of control, or what is charged by length. */
  control: 13,
  memoryGrow: 14,
  bulk: 15,
  refused: 16,
} as const;

/** The kind of immediate of each opcode. */
export const immediates: Uint8Array = Uint8Array.from({ length: 256 }, (_, opcode) => kindOf(opcode));

function kindOf(opcode: number): number {
  if (opcode === 0x01 || opcode === 0x1a || opcode === 0x1b || opcode === 0xd1) return immediate.none;
  if (opcode >= 0x45 && opcode <= 0xc4) return immediate.none;
  if (opcode >= 0x28 && opcode <= 0x3e) return immediate.memory;
  if (opcode >= 0x20 && opcode <= 0x22) return immediate.local;
  if (opcode === 0x23 || opcode === 0x24) return immediate.global;
  if (opcode === 0x25 || opcode === 0x26) return immediate.table;
  if (opcode === 0x3f) return immediate.memorySize;
  if (opcode === 0x40) return immediate.memoryGrow;
  if (opcode === 0x41) return immediate.i32;
  if (opcode === 0x42) return immediate.i64;
  if (opcode === 0x43) return immediate.f32;
  if (opcode === 0x44) return immediate.f64;
  if (opcode === 0xd0) return immediate.heapType;
  if (opcode === 0xd2) return immediate.function;
  if (opcode === 0xfc) return immediate.bulk;
  if (opcode === 0xfd) return immediate.vector;
  if (opcode <= 0x13 || opcode === 0x18 || opcode === 0x19 || opcode === 0x1c || opcode === 0x1f)
    return immediate.control;
  return immediate.refused;
}

/** Names an opcode that the sandbox refuses, or that does not exist. */
export function refusedOpcode(opcode: number): string {
  if (opcode === 0xfe) return "atomic instructions (threads)";
  if (opcode === 0xfb) return "garbage collection";
  if (opcode === 0xd3) return "garbage collection (ref.eq)";
  if (opcode === 0x14 || opcode === 0x15 || (opcode >= 0xd4 && opcode <= 0xd6)) return "typed function references";
  if (opcode >= 0xe0 && opcode <= 0xe6) return "stack switching";
  return `the unknown instruction 0x${opcode.toString(16)}`;
}

/** The one-byte opcodes that the sandbox treats on their own or emits. */
export const op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  try: 0x06,
  catch: 0x07,
  throw: 0x08,
  rethrow: 0x09,
  throwRef: 0x0a,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  delegate: 0x18,
  catchAll: 0x19,
  selectTyped: 0x1c,
  tryTable: 0x1f,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  memorySize: 0x3f,
  i32Const: 0x41,
  i64Const: 0x42,
  i64LtS: 0x53,
  i64Sub: 0x7d,
  vectorPrefix: 0xfd,
} as const;

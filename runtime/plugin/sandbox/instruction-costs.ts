/**
 * What instructions cost in fuel. One is about what a simple instruction takes; the exceptions are those that take much
 * longer, so that no module runs many times longer than its fuel says.
 */
export const instructionCosts = {
  /** Every instruction that is not named below. */
  simple: 1,
  /** Integer division and remainder, floating division and square root. */
  division: 5,
  vector: 2,
  /** A direct call, besides each value that goes in or comes out. */
  call: 5,
  /**
   * A call through a table. Leaf functions that cost no more than this pay nothing themselves, since whoever calls them
   * paid: a direct caller their cost, an indirect caller this.
   */
  indirectCall: 16,
  /** Throwing, besides each value of the exception. */
  throw: 500,
  /** Reading a table's entry or size, naming a function, dropping a segment. */
  table: 5,
  /** Writing a table's entry, which engines keep more than one copy of. */
  tableSet: 20,
  /** An instruction that works on a range, besides its length. */
  bulk: 30,
  /** memory.grow and table.grow, besides their length. */
  grow: 500,
} as const;

/** What each unit of a bulk instruction's length costs, before it runs. */
export const lengthCosts = {
  /** One for so many bytes of memory.fill, memory.copy and memory.init; a power of two. */
  bytesPerFuel: 16,
  tableEntry: 24,
  /** A page of 64 KiB: touching new memory is what takes the time. */
  page: 8_000,
} as const;

/** A function's declared locals are zeroed at every call: one for so many. */
export const localsPerFuel = 4;

const divisions = new Set([0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3]);

/** The cost of each opcode that neither branches nor calls nor works on a range. */
export const opcodeCosts: Uint8Array = Uint8Array.from({ length: 256 }, (_, opcode) => {
  if (divisions.has(opcode)) return instructionCosts.division;
  if (opcode === 0xfd) return instructionCosts.vector;
  if (opcode === 0x25 || opcode === 0xd2) return instructionCosts.table;
  if (opcode === 0x26) return instructionCosts.tableSet;
  return instructionCosts.simple;
});

/**
 * How many values each one-byte opcode leaves on the stack, less those that it takes. It is exact for valid code, and a
 * bound from above for vector instructions and those whose types decide.
 */
export const stackEffects: Int8Array = Int8Array.from({ length: 256 }, (_, opcode) => effectOf(opcode));

function effectOf(opcode: number): number {
  switch (opcode) {
    case 0x1a: // drop
    case 0x21: // local.set
    case 0x24: // global.set
      return -1;
    case 0x1b: // select
    case 0x26: // table.set
      return -2;
    case 0x20: // local.get
    case 0x23: // global.get
    case 0x3f: // memory.size
    case 0x41: // i32.const
    case 0x42: // i64.const
    case 0x43: // f32.const
    case 0x44: // f64.const
    case 0xd0: // ref.null
    case 0xd2: // ref.func
      return 1;
  }
  if (opcode >= 0x36 && opcode <= 0x3e) return -2; // stores
  return isBinary(opcode) ? -1 : 0;
}

/** Comparisons and arithmetic of two operands. */
function isBinary(opcode: number): boolean {
  const ranges = [
    [0x46, 0x4f],
    [0x51, 0x66],
    [0x6a, 0x78],
    [0x7c, 0x8a],
    [0x92, 0x98],
    [0xa0, 0xa6],
  ] as const;
  return ranges.some(([first, last]) => opcode >= first && opcode <= last);
}

/** The same for what follows the vector prefix. */
export function vectorStackEffect(opcode: number): number {
  if (opcode === 11 || opcode === 82 || (opcode >= 88 && opcode <= 91)) return -2; // store, bitselect, store_lane
  if (opcode === 12) return 1; // const
  if (opcode === 13 || opcode === 14 || (opcode >= 84 && opcode <= 87)) return -1; // shuffle, swizzle, load_lane
  if ((opcode >= 35 && opcode <= 76) || (opcode >= 78 && opcode <= 81)) return -1; // comparisons, and, or, xor
  return 0;
}

/** Every instruction of a module passes through here; test/bench/sandbox.ts keeps it honest. */
import type { BinaryReader } from "./binary-reader.ts";
import { opcodeCosts } from "./instruction-costs.ts";
import { immediate, immediates } from "./opcodes.ts";
import { stackEffects, vectorStackEffect } from "./stack-effects.ts";
import { referenceType } from "./types.ts";

/** The index spaces that code must stay inside of, so that it cannot name what the rewriter adds. */
export interface IndexSpaces {
  readonly locals: number;
  readonly globals: number;
  readonly functions: number;
}

/** What is known after a run of instructions. */
export interface Tally {
  /** What the run costs. */
  cost: number;
  /** Values on the stack, counted on from what it was before. */
  height: number;
}

/** Of each opcode its kind of immediate, from bit 8 on its cost, and from bit 16 on its effect on the stack. */
const instructions = Int32Array.from(
  immediates,
  (kind, opcode) => kind | ((opcodeCosts[opcode] ?? 0) << 8) | ((stackEffects[opcode] ?? 0) << 16),
);

/** Passes instructions up to the first that branches, calls, works on a range or is refused. Throws SandboxError. */
export function straightLine(reader: BinaryReader, spaces: IndexSpaces, tally: Tally): void {
  const { bytes, end } = reader;
  let cost = 0;
  let height = tally.height;
  let at = reader.position;
  while (at < end) {
    const instruction = instructions[bytes[at] ?? 0] ?? immediate.refused;
    const kind = instruction & 0xff;
    if (kind === immediate.none) at++;
    else if (kind >= immediate.control) break;
    else {
      // Nearly every immediate is one byte, or two of a load or a store.
      const next = bytes[at + 1] ?? 0x80;
      const most = kind === immediate.local ? spaces.locals : kind === immediate.global ? spaces.globals : 0x80;
      if (kind <= immediate.i64 && next < 0x80 && next < most) at += 2;
      else if (kind === immediate.memory && next < 0x40 && (bytes[at + 2] ?? 0x80) < 0x80) at += 3;
      else {
        reader.position = at + 1;
        height += passImmediate(reader, kind, spaces);
        at = reader.position;
      }
    }
    cost += (instruction >> 8) & 0xff;
    height += instruction >> 16;
  }
  reader.position = at;
  tally.cost = cost;
  tally.height = height;
}

function checkIndex(reader: BinaryReader, kind: number, index: number, spaces: IndexSpaces): void {
  if (kind === immediate.local && index >= spaces.locals) reader.fail(`local ${index} does not exist`);
  if (kind === immediate.global && index >= spaces.globals) reader.fail(`global ${index} does not exist`);
  if (kind === immediate.function && index >= spaces.functions) reader.fail(`function ${index} does not exist`);
}

/** Passes what follows an opcode and returns the effect on the stack that the opcode alone does not tell. */
function passImmediate(reader: BinaryReader, kind: number, spaces: IndexSpaces): number {
  switch (kind) {
    case immediate.memory:
      memoryArgument(reader);
      return 0;
    case immediate.i32:
      reader.skipSigned(32);
      return 0;
    case immediate.i64:
      reader.skipSigned(64);
      return 0;
    case immediate.f32:
      reader.passOver(4);
      return 0;
    case immediate.f64:
      reader.passOver(8);
      return 0;
    case immediate.heapType:
      referenceType(reader);
      return 0;
    case immediate.memorySize:
      memoryIndex(reader);
      return 0;
    case immediate.vector:
      return vectorImmediate(reader);
    default:
      checkIndex(reader, kind, reader.u32(), spaces);
      return 0;
  }
}

/** Passes the alignment and the offset of a load or a store. */
function memoryArgument(reader: BinaryReader): void {
  const at = reader.position;
  if (reader.u32() >= 0x40) reader.fail("the module names a memory (multi-memory), which the sandbox refuses", at);
  reader.u32();
}

/** Passes the index of the one memory. */
export function memoryIndex(reader: BinaryReader): void {
  const at = reader.position;
  if (reader.u32() !== 0) reader.fail("the module names a second memory (multi-memory), which the sandbox refuses", at);
}

function vectorImmediate(reader: BinaryReader): number {
  const at = reader.position;
  const opcode = reader.u32();
  if (opcode > 0xff)
    reader.fail("the module uses relaxed SIMD, whose results differ between machines; the sandbox refuses it", at);
  else if (opcode <= 11 || opcode === 92 || opcode === 93) memoryArgument(reader);
  else if (opcode === 12 || opcode === 13) reader.passOver(16);
  else if (opcode >= 21 && opcode <= 34) reader.passOver(1);
  else if (opcode >= 84 && opcode <= 91) {
    memoryArgument(reader);
    reader.passOver(1);
  }
  return vectorStackEffect(opcode);
}

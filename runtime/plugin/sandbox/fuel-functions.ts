import type { BinaryWriter } from "./binary-writer.ts";
import type { LengthCharge } from "./body-plan.ts";
import { lengthCosts } from "./instruction-costs.ts";
import { type ModuleLayout, sectionId } from "./module-layout.ts";
import { op } from "./opcodes.ts";
import { fuelExports, type SandboxLimits } from "./sandboxed-module.ts";

/** Fuel stays within what a number holds exactly, far from where 64 bits would wrap around. */
const mostFuel = 2 ** 53;

const f64Type = 0x7c;
const i32Type = 0x7f;
const i64Type = 0x7e;
const f64Const = 0x44;
const f64Min = 0xa4;
const f64Max = 0xa5;
const i64ExtendI32U = 0xad;
const f64ConvertI64S = 0xb9;
const i64Mul = 0x7e;
const i64ShrU = 0x88;
const i32GtU = 0x4b;
const i32Sub = 0x6b;
const truncSatF64S = [0xfc, 0x06];

/** The types, functions, global and exports that metering adds behind the module's own, so that no index changes. */
export class FuelFunctions {
  readonly fuelGlobal: number;
  readonly #layout: ModuleLayout;
  readonly #limits: SandboxLimits;
  readonly #firstType: number;
  readonly #firstFunction: number;
  readonly #charges: readonly LengthCharge[];

  constructor(layout: ModuleLayout, limits: SandboxLimits) {
    this.#layout = layout;
    this.#limits = limits;
    this.fuelGlobal = layout.globals;
    this.#firstType = layout.types.length;
    this.#firstFunction = layout.functionTypes.length;
    this.#charges =
      layout.memory === undefined ? ["entries", "tableGrowth"] : ["entries", "tableGrowth", "bytes", "pages"];
  }

  lengthFunction(charge: LengthCharge): number {
    return this.#firstFunction + 2 + Math.max(0, this.#charges.indexOf(charge));
  }

  /** How many entries a section gets. */
  added(section: number): number {
    switch (section) {
      case sectionId.type:
        return 3;
      case sectionId.function:
      case sectionId.code:
        return 2 + this.#charges.length;
      case sectionId.global:
        return 1;
      case sectionId.export:
        return 2;
      default:
        return 0;
    }
  }

  /** Writes the entries that a section gets. */
  write(section: number, out: BinaryWriter): void {
    switch (section) {
      case sectionId.type:
        out.bytes(Uint8Array.of(0x60, 1, f64Type, 0, 0x60, 0, 1, f64Type, 0x60, 1, i32Type, 1, i32Type));
        return;
      case sectionId.function:
        out.u32(this.#firstType);
        out.u32(this.#firstType + 1);
        for (const _ of this.#charges) out.u32(this.#firstType + 2);
        return;
      case sectionId.global:
        out.u8(i64Type);
        out.u8(1);
        out.u8(op.i64Const);
        out.signed(Math.trunc(Math.min(Math.max(this.#limits.startFuel, -mostFuel), mostFuel)));
        out.u8(op.end);
        return;
      case sectionId.export:
        writeExport(fuelExports.set, this.#firstFunction, out);
        writeExport(fuelExports.get, this.#firstFunction + 1, out);
        return;
      case sectionId.code:
        this.#writeSet(out);
        this.#writeGet(out);
        for (const charge of this.#charges) this.#writeCharge(charge, out);
        return;
    }
  }

  #writeSet(out: BinaryWriter): void {
    out.sized(() => {
      out.u32(0);
      out.u8(op.localGet);
      out.u32(0);
      writeF64(-mostFuel, out);
      out.u8(f64Max);
      writeF64(mostFuel, out);
      out.u8(f64Min);
      out.bytes(Uint8Array.from(truncSatF64S));
      out.u8(op.globalSet);
      out.u32(this.fuelGlobal);
      out.u8(op.end);
    });
  }

  #writeGet(out: BinaryWriter): void {
    out.sized(() => {
      out.u32(0);
      out.u8(op.globalGet);
      out.u32(this.fuelGlobal);
      out.u8(f64ConvertI64S);
      out.u8(op.end);
    });
  }

  /** Takes a length, charges for it and gives it back, or traps. A growth that is bound to fail is not charged for. */
  #writeCharge(charge: LengthCharge, out: BinaryWriter): void {
    out.sized(() => {
      out.u32(1);
      out.u32(1);
      out.u8(i64Type);
      if (charge === "pages" || charge === "tableGrowth") {
        out.u8(op.localGet);
        out.u32(0);
        this.#writeRoom(charge, out);
        out.u8(i32GtU);
        out.u8(op.if);
        out.u8(0x40);
        out.u8(op.localGet);
        out.u32(0);
        out.u8(op.return);
        out.u8(op.end);
      }
      out.u8(op.globalGet);
      out.u32(this.fuelGlobal);
      out.u8(op.localGet);
      out.u32(0);
      out.u8(i64ExtendI32U);
      writeUnitCost(charge, out);
      out.u8(op.i64Sub);
      out.u8(op.localTee);
      out.u32(1);
      out.u8(op.globalSet);
      out.u32(this.fuelGlobal);
      out.u8(op.localGet);
      out.u32(1);
      out.u8(op.i64Const);
      out.signed(0);
      out.u8(op.i64LtS);
      out.u8(op.if);
      out.u8(0x40);
      out.u8(op.unreachable);
      out.u8(op.end);
      out.u8(op.localGet);
      out.u32(0);
      out.u8(op.end);
    });
  }

  /** How much can be grown at most. */
  #writeRoom(charge: "pages" | "tableGrowth", out: BinaryWriter): void {
    out.u8(op.i32Const);
    if (charge === "tableGrowth") {
      out.signed(this.#limits.tableEntries | 0);
      return;
    }
    out.signed(this.#layout.memory?.maximum ?? 0);
    out.u8(op.memorySize);
    out.u8(0);
    out.u8(i32Sub);
  }
}

function writeUnitCost(charge: LengthCharge, out: BinaryWriter): void {
  out.u8(op.i64Const);
  if (charge === "bytes") {
    out.signed(Math.log2(lengthCosts.bytesPerFuel));
    out.u8(i64ShrU);
    return;
  }
  out.signed(charge === "pages" ? lengthCosts.page : lengthCosts.tableEntry);
  out.u8(i64Mul);
}

function writeF64(value: number, out: BinaryWriter): void {
  out.u8(f64Const);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  out.bytes(bytes);
}

function writeExport(name: string, functionIndex: number, out: BinaryWriter): void {
  const bytes = new TextEncoder().encode(name);
  out.u32(bytes.length);
  out.bytes(bytes);
  out.u8(0);
  out.u32(functionIndex);
}

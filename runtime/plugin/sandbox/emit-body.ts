/** What is emitted here runs in every guest; test/bench/sandbox.ts keeps it honest. */
import type { BinaryWriter } from "./binary-writer.ts";
import { type BodyPlan, branch, type Frame, type LengthCharge, lengthCharges, point } from "./body-plan.ts";
import type { CodeMapWriter } from "./code-map.ts";
import { op } from "./opcodes.ts";

/** What the rewriter added to the module, as the emitted code names it. */
export interface MeteringTargets {
  /** The index of the global that holds the fuel. */
  readonly fuelGlobal: number;
  /** The index of the function that charges a length. */
  lengthFunction(charge: LengthCharge): number;
}

const i64Type = 0x7e;
const emptyBlock = 0x40;

/**
 * Writes a function's body with its charges. Functions keep the fuel in a local of their own; the global is brought up to
 * date before control leaves the function, and read again afterwards. Functions with exception handlers work on the
 * global itself, since no code of ours runs on the way to a handler.
 */
export function emitBody(
  source: Uint8Array,
  plan: BodyPlan,
  targets: MeteringTargets,
  out: BinaryWriter,
  map: CodeMapWriter,
): void {
  out.sized(() => {
    map.opened(out.length);
    if (plan.exceptions) {
      out.u32(plan.declarations);
      out.range(source, plan.declarationsStart, plan.codeStart);
      new GlobalEmitter(source, plan, targets, out, map).emit();
      return;
    }
    out.u32(plan.declarations + 1);
    out.range(source, plan.declarationsStart, plan.codeStart);
    out.u32(1);
    out.u8(i64Type);
    new LocalEmitter(source, plan, targets, out, map).emit();
  });
}

class GlobalEmitter {
  readonly #source: Uint8Array;
  readonly #plan: BodyPlan;
  readonly #targets: MeteringTargets;
  readonly #out: BinaryWriter;
  readonly #map: CodeMapWriter;

  constructor(source: Uint8Array, plan: BodyPlan, targets: MeteringTargets, out: BinaryWriter, map: CodeMapWriter) {
    this.#source = source;
    this.#plan = plan;
    this.#targets = targets;
    this.#out = out;
    this.#map = map;
  }

  emit(): void {
    let copied = this.#plan.codeStart;
    const plan = this.#plan;
    for (let index = 0; index < plan.points; index++) {
      const kind = plan.kindOf(index);
      if (kind !== point.charge && kind !== point.length) continue;
      this.#copy(copied, plan.offsetOf(index));
      copied = plan.offsetOf(index);
      if (kind === point.charge) this.#charge(plan.detailOf(index));
      else chargeLength(plan.detailOf(index), this.#targets, this.#out);
    }
    this.#copy(copied, this.#plan.end);
  }

  #copy(start: number, end: number): void {
    this.#map.copied(end - start, this.#out.length);
    this.#out.range(this.#source, start, end);
  }

  #charge(segment: number): void {
    const cost = this.#plan.costOf(segment);
    if (cost === 0) return;
    const out = this.#out;
    const global = this.#targets.fuelGlobal;
    out.u8(op.globalGet);
    out.u32(global);
    out.u8(op.i64Const);
    out.signed(cost);
    out.u8(op.i64Sub);
    out.u8(op.globalSet);
    out.u32(global);
    if (!this.#plan.isChecked(segment)) return;
    out.u8(op.globalGet);
    out.u32(global);
    out.u8(op.i64Const);
    out.signed(0);
    out.u8(op.i64LtS);
    out.u8(op.if);
    out.u8(emptyBlock);
    out.u8(op.unreachable);
    out.u8(op.end);
  }
}

/** Where the fuel is known at a place in the code: in the local, in the global, or in both. */
interface FuelState {
  readonly inLocal: boolean;
  readonly inGlobal: boolean;
}

const inLocal: FuelState = { inLocal: true, inGlobal: false };
const inGlobal: FuelState = { inLocal: false, inGlobal: true };
const inBoth: FuelState = { inLocal: true, inGlobal: true };

class LocalEmitter {
  readonly #source: Uint8Array;
  readonly #plan: BodyPlan;
  readonly #targets: MeteringTargets;
  readonly #out: BinaryWriter;
  readonly #map: CodeMapWriter;
  /** The state at each open frame's beginning. */
  readonly #opened: FuelState[] = [];
  #state: FuelState = inGlobal;
  /** Where we are in the source, and up to where it was copied: nothing is copied before something has to be written. */
  #at: number;
  #copied: number;

  constructor(source: Uint8Array, plan: BodyPlan, targets: MeteringTargets, out: BinaryWriter, map: CodeMapWriter) {
    this.#source = source;
    this.#plan = plan;
    this.#targets = targets;
    this.#out = out;
    this.#map = map;
    this.#at = plan.codeStart;
    this.#copied = plan.codeStart;
  }

  emit(): void {
    const plan = this.#plan;
    for (let index = 0; index < plan.points; index++) {
      this.#at = plan.offsetOf(index);
      this.#point(plan.kindOf(index), plan.detailOf(index));
    }
    this.#at = plan.end;
    this.#copy();
  }

  #point(kind: number, detail: number): void {
    switch (kind) {
      case point.charge:
        this.#charge(detail);
        return;
      case point.call:
        this.#store();
        this.#state = inGlobal;
        return;
      case point.length:
        this.#store();
        this.#copy();
        chargeLength(detail, this.#targets, this.#out);
        this.#state = inGlobal;
        return;
      case point.leave:
        this.#store();
        return;
      case point.branch:
        if ((detail & branch.leavesFunction) !== 0) this.#store();
        if ((detail & branch.staysInside) !== 0) this.#load();
        return;
      case point.open:
        this.#open(this.#plan.frames[detail]);
        return;
      case point.arm:
        this.#arm(detail === 1);
        return;
      case point.end:
        this.#end(this.#plan.frames[detail >> 1], (detail & 1) === 1);
        return;
    }
  }

  #open(frame: Frame | undefined): void {
    if (frame === undefined) return;
    if (frame.kind === "loop" && frame.targeted) {
      this.#load();
      this.#state = inLocal;
    } else if (frame.kind === "if" && !frame.hasElse) this.#load();
    this.#opened.push(this.#state);
  }

  #arm(falls: boolean): void {
    if (falls) this.#load();
    this.#state = this.#opened[this.#opened.length - 1] ?? inGlobal;
  }

  /** Leaves the fuel in the local where paths meet, so that whatever path was taken, it is found there. */
  #end(frame: Frame | undefined, falls: boolean): void {
    if (frame === undefined) return;
    if (frame.kind === "function") {
      if (falls) this.#store();
      return;
    }
    const opened = this.#opened.pop() ?? inGlobal;
    if (frame.kind === "loop") return;
    const implicitElse = frame.kind === "if" && !frame.hasElse;
    const meets = frame.targeted || frame.armFalls || implicitElse;
    if (!meets) return;
    if (implicitElse && !falls && !frame.targeted) {
      this.#state = opened;
      return;
    }
    if (falls) this.#load();
    this.#state = inLocal;
  }

  #charge(segment: number): void {
    const cost = this.#plan.costOf(segment);
    if (cost === 0) return;
    this.#copy();
    const out = this.#out;
    const local = this.#plan.locals;
    const global = this.#targets.fuelGlobal;
    out.u8(this.#state.inLocal ? op.localGet : op.globalGet);
    out.u32(this.#state.inLocal ? local : global);
    out.u8(op.i64Const);
    out.signed(cost);
    out.u8(op.i64Sub);
    out.u8(this.#plan.isChecked(segment) ? op.localTee : op.localSet);
    out.u32(local);
    this.#state = inLocal;
    if (!this.#plan.isChecked(segment)) return;
    out.u8(op.i64Const);
    out.signed(0);
    out.u8(op.i64LtS);
    out.u8(op.if);
    out.u8(emptyBlock);
    out.u8(op.localGet);
    out.u32(local);
    out.u8(op.globalSet);
    out.u32(global);
    out.u8(op.unreachable);
    out.u8(op.end);
  }

  #store(): void {
    if (this.#state.inGlobal) return;
    this.#copy();
    this.#out.u8(op.localGet);
    this.#out.u32(this.#plan.locals);
    this.#out.u8(op.globalSet);
    this.#out.u32(this.#targets.fuelGlobal);
    this.#state = inBoth;
  }

  #load(): void {
    if (this.#state.inLocal) return;
    this.#copy();
    this.#out.u8(op.globalGet);
    this.#out.u32(this.#targets.fuelGlobal);
    this.#out.u8(op.localSet);
    this.#out.u32(this.#plan.locals);
    this.#state = inBoth;
  }

  #copy(): void {
    this.#map.copied(this.#at - this.#copied, this.#out.length);
    this.#out.range(this.#source, this.#copied, this.#at);
    this.#copied = this.#at;
  }
}

/** Passes the length on the stack through the function that charges for it. */
function chargeLength(charge: number, targets: MeteringTargets, out: BinaryWriter): void {
  out.u8(op.call);
  out.u32(targets.lengthFunction(lengthCharges[charge] ?? "bytes"));
}

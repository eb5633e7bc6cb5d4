import type { BinaryReader } from "./binary-reader.ts";
import { type BodyPlan, branch, type Frame, type LengthCharge, lengthCharges, point } from "./body-plan.ts";
import { bulkInstruction } from "./bulk-instruction.ts";
import { instructionCosts, localsPerFuel } from "./instruction-costs.ts";
import type { ModuleLayout } from "./module-layout.ts";
import { immediate, immediates, op, refusedOpcode } from "./opcodes.ts";
import { type IndexSpaces, memoryIndex, straightLine, type Tally } from "./straight-line.ts";
import { type Arity, blockType, valueType } from "./types.ts";

/** More locals than compilers make, and room for ours below what engines allow. */
const mostLocals = 10_000;

/**
 * Engines take time and space for each live value at each branch, when a function is first called and outside of any
 * fuel: 20 ns for each. The largest function of an 8 MB compiler comes to 0.35 million.
 */
const mostLiveAtBranches = 5_000_000;

/**
 * Reads a function's body from the reader, which ends where the body does, and plans where what is charged. What follows a
 * construct is charged with what precedes it when control cannot leave it another way; every other continuation is a
 * segment of its own. So each path pays what it runs, once, before it runs. `leafCosts` holds the cost of each function
 * that pays nothing itself. Throws SandboxError.
 */
export function scanBody(
  reader: BinaryReader,
  layout: ModuleLayout,
  functionIndex: number,
  leafCosts: Uint8Array,
  plan: BodyPlan,
): void {
  new BodyScan(reader, layout, functionIndex, leafCosts, plan).scan();
}

class BodyScan {
  readonly #reader: BinaryReader;
  readonly #layout: ModuleLayout;
  readonly #leafCosts: Uint8Array;
  readonly #type: Arity;
  readonly #plan: BodyPlan;
  /** Those that are open, of the plan's. */
  readonly #frames: Frame[] = [];
  /** What the cost of code that cannot be reached is added to; it is charged nowhere. */
  readonly #deadSegment: number;
  #segment: number;
  #spaces: IndexSpaces = { locals: 0, globals: 0, functions: 0 };
  readonly #tally: Tally = { cost: 0, height: 0 };
  /** Frames that were opened in code that cannot be reached, when that is where we are. */
  #deadFrames = 0;
  #reachable = true;

  constructor(
    reader: BinaryReader,
    layout: ModuleLayout,
    functionIndex: number,
    leafCosts: Uint8Array,
    plan: BodyPlan,
  ) {
    plan.clear();
    this.#reader = reader;
    this.#layout = layout;
    this.#leafCosts = leafCosts;
    this.#type = this.#functionType(functionIndex);
    this.#plan = plan;
    this.#deadSegment = plan.addSegment(false);
    this.#segment = this.#deadSegment;
  }

  scan(): void {
    const reader = this.#reader;
    const plan = this.#plan;
    const start = reader.position;
    this.#charge(true, this.#declarations());
    this.#open("function", { parameters: 0, results: this.#type.results });
    while (this.#frames.length > 0) this.#instruction();
    if (!reader.done) reader.fail("a function goes on behind its end");
    plan.end = reader.end;
    if (plan.liveAtBranches > mostLiveAtBranches)
      reader.fail(
        "a function has too many locals and values for so many branches: engines would take seconds to compile it",
        start,
      );
  }

  /** Reads the declarations of locals and returns where the code begins. */
  #declarations(): number {
    const reader = this.#reader;
    const plan = this.#plan;
    const at = reader.position;
    plan.declarations = reader.u32();
    plan.declarationsStart = reader.position;
    let declared = 0;
    for (let index = 0; index < plan.declarations; index++) {
      declared += reader.u32();
      if (declared > mostLocals) reader.fail(`a function has more than ${mostLocals} locals`, at);
      valueType(reader);
    }
    plan.locals = this.#type.parameters + declared;
    plan.codeStart = reader.position;
    this.#spaces = {
      locals: plan.locals,
      globals: this.#layout.globals,
      functions: this.#layout.functionTypes.length,
    };
    return Math.floor(declared / localsPerFuel);
  }

  #instruction(): void {
    const reader = this.#reader;
    straightLine(reader, this.#spaces, this.#tally);
    this.#spend(this.#tally.cost);
    const at = reader.position;
    const opcode = reader.u8();
    switch (immediates[opcode]) {
      case immediate.control:
        this.#control(opcode, at);
        return;
      case immediate.memoryGrow:
        memoryIndex(reader);
        this.#lengthCharged(at, "pages", instructionCosts.grow);
        return;
      case immediate.bulk:
        this.#bulk(at);
        return;
      default:
        this.#refuse(opcode, at);
    }
  }

  #control(opcode: number, at: number): void {
    const reader = this.#reader;
    switch (opcode) {
      case op.unreachable:
        this.#spend(1);
        this.#die();
        return;
      case op.block:
        this.#openTyped("block", at);
        return;
      case op.loop:
        this.#openTyped("loop", at);
        return;
      case op.if:
        this.#tally.height--;
        this.#openTyped("if", at);
        return;
      case op.try:
        this.#openTyped("try", at);
        return;
      case op.tryTable:
        this.#openTryTable(at);
        return;
      case op.else:
        this.#else(at);
        return;
      case op.catch:
        this.#handler(at, this.#tag().parameters);
        return;
      case op.catchAll:
        this.#handler(at, 0);
        return;
      case op.delegate:
        this.#label();
        this.#end(at);
        return;
      case op.end:
        this.#end(at);
        return;
      case op.br:
        this.#jump(at, this.#label());
        return;
      case op.brIf:
        this.#branchIf(at);
        return;
      case op.brTable:
        this.#branchTable(at);
        return;
      case op.return:
        this.#spend(1 + this.#type.results);
        this.#leave(at);
        return;
      case op.throw:
        this.#spend(instructionCosts.throw + this.#tag().parameters);
        this.#raise(at);
        return;
      case op.rethrow:
        this.#label();
        this.#spend(instructionCosts.throw);
        this.#raise(at);
        return;
      case op.throwRef:
        this.#spend(instructionCosts.throw);
        this.#raise(at);
        return;
      case op.call:
        this.#directCall();
        this.#point(point.call, at);
        return;
      case op.returnCall:
        this.#directCall();
        this.#point(point.call, at);
        this.#leave(at);
        return;
      case op.callIndirect:
        this.#indirectCall();
        this.#point(point.call, at);
        return;
      case op.returnCallIndirect:
        this.#indirectCall();
        this.#point(point.call, at);
        this.#leave(at);
        return;
      case op.selectTyped: {
        const count = reader.u32();
        for (let index = 0; index < count; index++) valueType(reader);
        this.#spend(1);
        this.#tally.height -= 2;
        return;
      }
      default:
        this.#refuse(opcode, at);
    }
  }

  #refuse(opcode: number, at: number): never {
    return this.#reader.fail(`the module uses ${refusedOpcode(opcode)}, which the sandbox refuses`, at);
  }

  #directCall(): void {
    const index = this.#reader.u32();
    const { parameters, results } = this.#functionType(index);
    this.#spend(instructionCosts.call + parameters + results + (this.#leafCosts[index] ?? 0));
    this.#tally.height += results - parameters;
  }

  #indirectCall(): void {
    const index = this.#reader.u32();
    const type = this.#layout.types[index] ?? this.#reader.fail(`type ${index} does not exist`);
    this.#reader.u32();
    this.#spend(instructionCosts.indirectCall + type.parameters + type.results);
    this.#tally.height += type.results - type.parameters - 1;
  }

  #functionType(index: number): Arity {
    const type = this.#layout.types[this.#layout.functionTypes[index] ?? -1];
    return type ?? this.#reader.fail(`function ${index} does not exist`);
  }

  #tag(): Arity {
    const index = this.#reader.u32();
    return this.#layout.tags[index] ?? this.#reader.fail(`tag ${index} does not exist`);
  }

  /** Reads a label; undefined in code that is not reached, where labels may lie in frames that were not kept. */
  #label(): Frame | undefined {
    const depth = this.#reader.u32();
    const total = this.#frames.length + this.#deadFrames;
    if (depth >= total) this.#reader.fail("a branch goes to a block that does not exist");
    return this.#reachable ? this.#frames[this.#frames.length - 1 - depth] : undefined;
  }

  /** Notes that control may go to a label and returns the flags of a branch. */
  #target(frame: Frame | undefined): number {
    if (frame === undefined) return 0;
    frame.targeted = true;
    this.#meet();
    this.#escapeTo(frame.depth);
    return frame.kind === "function" ? branch.leavesFunction : branch.staysInside;
  }

  #branchIf(at: number): void {
    const target = this.#label();
    if (target === undefined) return;
    this.#tally.height--;
    this.#spend(1 + carried(target));
    this.#point(point.branch, at, this.#target(target));
    this.#charge(false);
  }

  #branchTable(at: number): void {
    let flags = 0;
    for (let rest = this.#reader.u32(); rest > 0; rest--) flags |= this.#target(this.#label());
    this.#jump(at, this.#label(), flags);
  }

  #jump(at: number, target: Frame | undefined, otherFlags = 0): void {
    if (target === undefined) return;
    this.#spend(1 + carried(target));
    this.#point(point.branch, at, this.#target(target) | otherFlags);
    this.#die();
  }

  #leave(at: number): void {
    this.#escapeTo(0);
    this.#point(point.leave, at);
    this.#die();
  }

  /** What follows cannot be reached. */
  #die(): void {
    this.#reachable = false;
    this.#segment = this.#deadSegment;
  }

  #raise(at: number): void {
    this.#plan.exceptions = true;
    this.#leave(at);
  }

  #escapeTo(depth: number): void {
    const top = this.#frames[this.#frames.length - 1];
    if (this.#reachable && top !== undefined && depth < top.outermostTarget) top.outermostTarget = depth;
  }

  #openTyped(kind: "block" | "loop" | "if" | "try", at: number): void {
    const type = blockType(this.#reader, this.#layout.types);
    if (kind === "try") this.#plan.exceptions = true;
    if (!this.#reachable) {
      this.#deadFrames++;
      return;
    }
    this.#spend(1 + type.parameters + type.results);
    this.#point(point.open, at, this.#plan.frames.length);
    this.#open(kind, type);
    if (kind !== "block") this.#meet();
    if (kind === "loop") this.#charge(true);
    else if (kind === "if") this.#charge(false);
  }

  #openTryTable(at: number): void {
    const reader = this.#reader;
    this.#plan.exceptions = true;
    const type = blockType(reader, this.#layout.types);
    for (let rest = reader.u32(); rest > 0; rest--) {
      const kind = reader.u8();
      if (kind > 3) reader.fail(`a handler is of the unknown kind ${kind}`, reader.position - 1);
      if (kind < 2) this.#tag();
      const target = this.#label();
      this.#target(target);
      if (target !== undefined) target.caught = true;
    }
    if (!this.#reachable) {
      this.#deadFrames++;
      return;
    }
    this.#spend(1 + type.parameters + type.results);
    this.#point(point.open, at, this.#plan.frames.length);
    this.#open("block", type);
  }

  #else(at: number): void {
    if (this.#deadFrames > 0) return;
    const frame = this.#top(at);
    if (frame.kind !== "if" || frame.hasElse) this.#reader.fail("an else stands outside of an if", at);
    frame.hasElse = true;
    frame.armFalls = this.#reachable;
    this.#arm(at, frame, frame.parameters);
    this.#charge(false);
  }

  /** A handler begins with the exception's values. */
  #handler(at: number, values: number): void {
    this.#plan.exceptions = true;
    if (this.#deadFrames > 0) return;
    const frame = this.#top(at);
    if (frame.kind !== "try") this.#reader.fail("a catch stands outside of a try", at);
    frame.armFalls ||= this.#reachable;
    frame.hasElse = true;
    this.#arm(at, frame, values);
    this.#charge(true);
  }

  #arm(at: number, frame: Frame, values: number): void {
    this.#plan.addPoint(point.arm, at, this.#reachable ? 1 : 0);
    this.#reachable = true;
    this.#tally.height = frame.base + values;
    this.#meet();
  }

  #end(at: number): void {
    if (this.#deadFrames > 0) {
      this.#deadFrames--;
      return;
    }
    const frame = this.#top(at);
    const falls = this.#reachable;
    this.#frames.pop();
    this.#plan.addPoint(point.end, at, frame.index * 2 + (falls ? 1 : 0));
    const outer = this.#frames[this.#frames.length - 1];
    if (outer === undefined) return;
    outer.outermostTarget = Math.min(outer.outermostTarget, frame.outermostTarget);
    this.#tally.height = frame.base + frame.results;
    if (frame.kind !== "block" || frame.targeted) this.#meet();
    this.#continue(frame, falls);
  }

  /** Chooses the segment that what follows a frame is charged with. */
  #continue(frame: Frame, falls: boolean): void {
    const implicitElse = frame.kind === "if" && !frame.hasElse;
    const jumpedTo = frame.kind !== "loop" && frame.targeted;
    this.#reachable = falls || frame.armFalls || implicitElse || jumpedTo;
    if (!this.#reachable) {
      this.#die();
      return;
    }
    if (frame.caught) this.#charge(true);
    else if (frame.outermostTarget >= frame.depth) this.#segment = frame.opening;
    else if (!falls || frame.armFalls || implicitElse || jumpedTo) this.#charge(false);
  }

  #lengthCharged(at: number, charge: LengthCharge, cost: number): void {
    this.#spend(cost);
    this.#point(point.length, at, lengthCharges.indexOf(charge));
  }

  #bulk(at: number): void {
    const { cost, effect, charge } = bulkInstruction(this.#reader);
    this.#tally.height += effect;
    if (charge !== undefined) this.#lengthCharged(at, charge, cost);
    else this.#spend(cost);
  }

  #open(kind: Frame["kind"], { parameters, results }: Arity): void {
    const frame: Frame = {
      index: this.#plan.frames.length,
      kind,
      depth: this.#frames.length,
      base: this.#tally.height - parameters,
      parameters,
      results,
      opening: this.#segment,
      hasElse: false,
      targeted: false,
      caught: false,
      armFalls: false,
      outermostTarget: Number.MAX_SAFE_INTEGER,
    };
    this.#plan.frames.push(frame);
    this.#frames.push(frame);
  }

  #top(at: number): Frame {
    return this.#frames[this.#frames.length - 1] ?? this.#reader.fail("a function ends twice", at);
  }

  /** Begins a segment here. */
  #charge(checked: boolean, cost = 0): void {
    this.#segment = this.#plan.addSegment(checked);
    this.#spend(cost);
    this.#plan.addPoint(point.charge, this.#reader.position, this.#segment);
  }

  /** Control branches or comes together here, where an engine looks at every live value. */
  #meet(): void {
    this.#plan.liveAtBranches += this.#plan.locals + Math.max(0, this.#tally.height);
  }

  #spend(cost: number): void {
    this.#plan.spend(this.#segment, cost);
  }

  #point(kind: number, at: number, detail = 0): void {
    if (this.#reachable) this.#plan.addPoint(kind, at, detail);
  }
}

/** The values that a branch to the frame takes along. */
function carried(frame: Frame): number {
  return frame.kind === "loop" ? frame.parameters : frame.results;
}

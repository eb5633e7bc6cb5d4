import type { BinaryReader } from "./binary-reader.ts";
import type { BodyPlan, Frame, LengthCharge, Point, Segment } from "./body-plan.ts";
import { instructionCosts, localsPerFuel, opcodeCosts } from "./instruction-costs.ts";
import type { ModuleLayout } from "./module-layout.ts";
import { immediate, immediates, op, refusedOpcode } from "./opcodes.ts";
import { type Arity, blockType, referenceType, valueType } from "./types.ts";

/** More locals than any compiler makes; engines take time for each of them at each branch. */
const mostLocals = 10_000;

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
): BodyPlan {
  return new BodyScan(reader, layout, functionIndex, leafCosts).scan();
}

class BodyScan {
  readonly #reader: BinaryReader;
  readonly #layout: ModuleLayout;
  readonly #leafCosts: Uint8Array;
  readonly #type: Arity;
  readonly #points: Point[] = [];
  readonly #frames: Frame[] = [];
  #segment: Segment = { cost: 0, checked: true };
  #locals = 0;
  #exceptions = false;
  /** Frames that were opened in code that cannot be reached, when that is where we are. */
  #deadFrames = 0;
  #reachable = true;

  constructor(reader: BinaryReader, layout: ModuleLayout, functionIndex: number, leafCosts: Uint8Array) {
    this.#reader = reader;
    this.#layout = layout;
    this.#leafCosts = leafCosts;
    this.#type = this.#functionType(functionIndex);
  }

  scan(): BodyPlan {
    const reader = this.#reader;
    const declarationsAt = reader.position;
    const declarations = reader.u32();
    const declarationsStart = reader.position;
    this.#locals = this.#type.parameters;
    for (let index = 0; index < declarations; index++) {
      this.#locals += reader.u32();
      if (this.#locals > mostLocals) reader.fail(`a function has more than ${mostLocals} locals`, declarationsAt);
      valueType(reader);
    }
    const codeStart = reader.position;
    this.#charge(true);
    this.#segment.cost += Math.floor((this.#locals - this.#type.parameters) / localsPerFuel);
    this.#frames.push(this.#frame("function", this.#type.results));
    while (this.#frames.length > 0) this.#instruction();
    if (!reader.done) reader.fail("a function goes on behind its end");
    return {
      codeStart,
      end: reader.end,
      locals: this.#locals,
      declarationsStart,
      declarationsEnd: codeStart,
      declarations,
      exceptions: this.#exceptions,
      points: this.#points,
    };
  }

  #instruction(): void {
    const reader = this.#reader;
    const at = reader.position;
    const opcode = reader.u8();
    switch (immediates[opcode]) {
      case immediate.none:
        break;
      case immediate.control:
        this.#control(opcode, at);
        return;
      case immediate.memory:
        this.#memoryArgument();
        break;
      case immediate.local:
        if (reader.u32() >= this.#locals) reader.fail("a local does not exist", at);
        break;
      case immediate.global:
        if (reader.u32() >= this.#layout.globals) reader.fail("a global does not exist", at);
        break;
      case immediate.i32:
        reader.skipSigned(32);
        break;
      case immediate.i64:
        reader.skipSigned(64);
        break;
      case immediate.f32:
        reader.take(4);
        break;
      case immediate.f64:
        reader.take(8);
        break;
      case immediate.table:
        reader.u32();
        break;
      case immediate.function:
        this.#functionType(reader.u32());
        break;
      case immediate.heapType:
        referenceType(reader);
        break;
      case immediate.memoryIndex:
        this.#memoryIndex(at);
        if (opcode === op.memoryGrow) {
          this.#lengthCharged(at, "pages", instructionCosts.grow);
          return;
        }
        break;
      case immediate.prefix:
        if (opcode === op.bulkPrefix) this.#bulk(at);
        else this.#vector(at);
        return;
      default:
        reader.fail(`the module uses ${refusedOpcode(opcode)}, which the sandbox refuses`, at);
    }
    this.#segment.cost += opcodeCosts[opcode] ?? 1;
  }

  #control(opcode: number, at: number): void {
    const reader = this.#reader;
    switch (opcode) {
      case op.unreachable:
        this.#segment.cost++;
        this.#point({ kind: "trap", at });
        this.#reachable = false;
        return;
      case op.block:
        this.#open("block", at);
        return;
      case op.loop:
        this.#open("loop", at);
        return;
      case op.if:
        this.#open("if", at);
        return;
      case op.try:
        this.#open("try", at);
        return;
      case op.tryTable:
        this.#openTryTable(at);
        return;
      case op.else:
        this.#else(at);
        return;
      case op.catch:
        this.#tag();
        this.#handler(at);
        return;
      case op.catchAll:
        this.#handler(at);
        return;
      case op.delegate:
        this.#label();
        this.#end(at);
        return;
      case op.end:
        this.#end(at);
        return;
      case op.br:
        this.#branch(at, [this.#label()], false);
        return;
      case op.brIf:
        this.#branch(at, [this.#label()], true);
        return;
      case op.brTable:
        this.#branch(at, this.#labels(), false);
        return;
      case op.return:
        this.#segment.cost += 1 + this.#type.results;
        this.#leave(at);
        return;
      case op.throw:
        this.#segment.cost += instructionCosts.throw + this.#tag().parameters;
        this.#raise(at);
        return;
      case op.rethrow:
        this.#label();
        this.#segment.cost += instructionCosts.throw;
        this.#raise(at);
        return;
      case op.throwRef:
        this.#segment.cost += instructionCosts.throw;
        this.#raise(at);
        return;
      case op.call:
        this.#directCall();
        {
          this.#point({ kind: "call", at });
          return;
        }
      case op.returnCall:
        this.#directCall();
        this.#leave(at);
        return;
      case op.callIndirect:
        this.#indirectCall();
        {
          this.#point({ kind: "call", at });
          return;
        }
      case op.returnCallIndirect:
        this.#indirectCall();
        this.#leave(at);
        return;
      case op.selectTyped: {
        const count = reader.u32();
        for (let index = 0; index < count; index++) valueType(reader);
        this.#segment.cost++;
        return;
      }
      default:
        reader.fail(`the module uses ${refusedOpcode(opcode)}, which the sandbox refuses`, at);
    }
  }

  #directCall(): void {
    const index = this.#reader.u32();
    const { parameters, results } = this.#functionType(index);
    this.#segment.cost += instructionCosts.call + parameters + results + (this.#leafCosts[index] ?? 0);
  }

  #indirectCall(): void {
    const index = this.#reader.u32();
    const type = this.#layout.types[index] ?? this.#reader.fail(`type ${index} does not exist`);
    this.#reader.u32();
    this.#segment.cost += instructionCosts.indirectCall + type.parameters + type.results;
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

  #labels(): (Frame | undefined)[] {
    const labels: (Frame | undefined)[] = [];
    for (let rest = this.#reader.u32(); rest >= 0; rest--) labels.push(this.#label());
    return labels;
  }

  #branch(at: number, targets: readonly (Frame | undefined)[], conditional: boolean): void {
    if (!this.#reachable) return;
    let leavesFunction = false;
    let staysInside = false;
    this.#segment.cost += 1 + (targets[0]?.arity ?? 0);
    for (const target of targets) {
      if (target === undefined) continue;
      target.targeted = true;
      this.#escapeTo(target.depth);
      if (target.kind === "function") leavesFunction = true;
      else staysInside = true;
    }
    this.#point({ kind: "branch", at, conditional, leavesFunction, staysInside });
    if (conditional) this.#charge(false);
    else this.#reachable = false;
  }

  #leave(at: number): void {
    this.#escapeTo(0);
    this.#point({ kind: "leave", at });
    this.#reachable = false;
  }

  #raise(at: number): void {
    this.#exceptions = true;
    this.#leave(at);
  }

  #escapeTo(depth: number): void {
    const top = this.#frames[this.#frames.length - 1];
    if (this.#reachable && top !== undefined && depth < top.outermostTarget) top.outermostTarget = depth;
  }

  #open(kind: "block" | "loop" | "if" | "try", at: number): void {
    const type = blockType(this.#reader, this.#layout.types);
    if (kind === "try") this.#exceptions = true;
    if (!this.#reachable) {
      this.#deadFrames++;
      return;
    }
    this.#segment.cost += 1 + type.parameters + type.results;
    const frame = this.#frame(kind, kind === "loop" ? type.parameters : type.results);
    this.#frames.push(frame);
    this.#point({ kind: "open", at, frame });
    if (kind === "loop") this.#charge(true);
    else if (kind === "if") this.#charge(false);
  }

  #openTryTable(at: number): void {
    const reader = this.#reader;
    this.#exceptions = true;
    const type = blockType(reader, this.#layout.types);
    const targets: (Frame | undefined)[] = [];
    for (let rest = reader.u32(); rest > 0; rest--) {
      const kind = reader.u8();
      if (kind > 3) reader.fail(`a handler is of the unknown kind ${kind}`, reader.position - 1);
      if (kind < 2) this.#tag();
      targets.push(this.#label());
    }
    if (!this.#reachable) {
      this.#deadFrames++;
      return;
    }
    this.#segment.cost += 1 + type.parameters + type.results;
    for (const target of targets) {
      if (target === undefined) continue;
      target.targeted = true;
      target.caught = true;
      this.#escapeTo(target.depth);
    }
    const frame = this.#frame("block", type.results);
    this.#frames.push(frame);
    this.#point({ kind: "open", at, frame });
  }

  #else(at: number): void {
    if (this.#deadFrames > 0) return;
    const frame = this.#top(at);
    if (frame.kind !== "if" || frame.hasElse) this.#reader.fail("an else stands outside of an if", at);
    frame.hasElse = true;
    frame.armFalls = this.#reachable;
    this.#point({ kind: "arm", at, frame, falls: this.#reachable });
    this.#reachable = true;
    this.#charge(false);
  }

  #handler(at: number): void {
    this.#exceptions = true;
    if (this.#deadFrames > 0) return;
    const frame = this.#top(at);
    if (frame.kind !== "try") this.#reader.fail("a catch stands outside of a try", at);
    frame.armFalls ||= this.#reachable;
    frame.hasElse = true;
    this.#point({ kind: "arm", at, frame, falls: this.#reachable });
    this.#reachable = true;
    this.#charge(true);
  }

  #end(at: number): void {
    if (this.#deadFrames > 0) {
      this.#deadFrames--;
      return;
    }
    const frame = this.#top(at);
    const falls = this.#reachable;
    this.#frames.pop();
    this.#points.push({ kind: "end", at, frame, falls });
    const outer = this.#frames[this.#frames.length - 1];
    if (outer === undefined) return;
    outer.outermostTarget = Math.min(outer.outermostTarget, frame.outermostTarget);
    this.#continue(frame, falls);
  }

  /** Chooses the segment that what follows a frame is charged with. */
  #continue(frame: Frame, falls: boolean): void {
    const implicitElse = frame.kind === "if" && !frame.hasElse;
    const jumpedTo = frame.kind !== "loop" && frame.targeted;
    this.#reachable = falls || frame.armFalls || implicitElse || jumpedTo;
    if (!this.#reachable) return;
    if (frame.caught) this.#charge(true);
    else if (frame.outermostTarget >= frame.depth) this.#segment = frame.opening;
    else if (!falls || frame.armFalls || implicitElse || jumpedTo) this.#charge(false);
  }

  #bulk(at: number): void {
    const reader = this.#reader;
    const subOpcode = reader.u32();
    if (subOpcode <= 7) {
      this.#segment.cost++;
      return;
    }
    const { bulk, grow, table } = instructionCosts;
    switch (subOpcode) {
      case 8:
        reader.u32();
        this.#memoryIndex(at);
        this.#lengthCharged(at, "bytes", bulk);
        return;
      case 9:
      case 13:
      case 16:
        reader.u32();
        this.#segment.cost += table;
        return;
      case 10:
        this.#memoryIndex(at);
        this.#memoryIndex(at);
        this.#lengthCharged(at, "bytes", bulk);
        return;
      case 11:
        this.#memoryIndex(at);
        this.#lengthCharged(at, "bytes", bulk);
        return;
      case 12:
      case 14:
        reader.u32();
        reader.u32();
        this.#lengthCharged(at, "entries", bulk);
        return;
      case 15:
        reader.u32();
        this.#lengthCharged(at, "tableGrowth", grow);
        return;
      case 17:
        reader.u32();
        this.#lengthCharged(at, "entries", bulk);
        return;
      default:
        reader.fail(`the module uses the unknown instruction 0xfc ${subOpcode}`, at);
    }
  }

  #vector(at: number): void {
    const reader = this.#reader;
    const subOpcode = reader.u32();
    if (subOpcode <= 11 || subOpcode === 92 || subOpcode === 93) this.#memoryArgument();
    else if (subOpcode === 12 || subOpcode === 13) reader.take(16);
    else if (subOpcode >= 21 && subOpcode <= 34) reader.u8();
    else if (subOpcode >= 84 && subOpcode <= 91) {
      this.#memoryArgument();
      reader.u8();
    } else if (subOpcode > 0xff)
      reader.fail("the module uses relaxed SIMD, whose results differ between machines; the sandbox refuses it", at);
    this.#segment.cost += instructionCosts.vector;
  }

  #lengthCharged(at: number, charge: LengthCharge, cost: number): void {
    this.#segment.cost += cost;
    this.#point({ kind: "length", at, charge });
  }

  #memoryArgument(): void {
    const at = this.#reader.position;
    const alignment = this.#reader.u32();
    if (alignment >= 0x40) this.#reader.fail("the module names a memory (multi-memory), which the sandbox refuses", at);
    this.#reader.u32();
  }

  #memoryIndex(at: number): void {
    if (this.#reader.u32() !== 0)
      this.#reader.fail("the module names a second memory (multi-memory), which the sandbox refuses", at);
  }

  #frame(kind: Frame["kind"], arity: number): Frame {
    const depth = this.#frames.length;
    return {
      kind,
      depth,
      arity,
      opening: this.#segment,
      hasElse: false,
      targeted: false,
      caught: false,
      armFalls: false,
      outermostTarget: Number.POSITIVE_INFINITY,
    };
  }

  #top(at: number): Frame {
    return this.#frames[this.#frames.length - 1] ?? this.#reader.fail("a function ends twice", at);
  }

  /** Begins a segment here. */
  #charge(checked: boolean): void {
    if (!this.#reachable) return;
    // Being checked costs one, so that no loop and no recursion is free.
    this.#segment = { cost: checked ? 1 : 0, checked };
    this.#points.push({ kind: "charge", at: this.#reader.position, segment: this.#segment });
  }

  #point(point: Point): void {
    if (this.#reachable) this.#points.push(point);
  }
}

import type { BinaryReader } from "./binary-reader.ts";
import { type BodyPlan, type LengthCharge, lengthCharges, point } from "./body-plan.ts";
import { bulkInstruction } from "./bulk-instruction.ts";
import { ControlFlow } from "./control-flow.ts";
import { instructionCosts, localsPerFuel } from "./instruction-costs.ts";
import type { ModuleLayout } from "./module-layout.ts";
import { immediate, immediates, op, refusedOpcode } from "./opcodes.ts";
import { type IndexSpaces, memoryIndex, straightLine, type Tally } from "./straight-line.ts";
import { type Arity, blockType, valueType } from "./types.ts";

/** More locals than compilers make, and room for ours below what engines allow. */
const mostLocals = 10_000;

/**
 * Engines take time and space for each live value at each branch, when a function is first called and outside of any
 * fuel: 20 ns for each. The largest function of an 8.9 MB compiler comes to 0.46 million.
 */
const mostLiveAtBranches = 5_000_000;

/**
 * Reads a function's body from the reader, which ends where the body does, and plans where what is charged. `leafCosts` holds
 * the cost of each function that pays nothing itself. Throws SandboxError.
 */
export function scanBody(
  reader: BinaryReader,
  layout: ModuleLayout,
  functionIndex: number,
  leafCosts: Uint8Array,
  plan: BodyPlan,
): void {
  const start = reader.position;
  const type = layout.types[layout.functionTypes[functionIndex] ?? -1];
  if (type === undefined) reader.fail(`function ${functionIndex} does not exist`);
  plan.clear();
  const declared = readDeclarations(reader, plan, type);
  new BodyScan(reader, layout, leafCosts, plan, type).scan(declared);
  plan.end = reader.end;
  if (plan.liveAtBranches > mostLiveAtBranches)
    reader.fail(
      "a function has too many locals and values for so many branches: engines would take seconds to compile it",
      start,
    );
}

/** Reads the declarations of locals and returns how many there are. */
function readDeclarations(reader: BinaryReader, plan: BodyPlan, type: Arity): number {
  const at = reader.position;
  plan.declarations = reader.u32();
  plan.declarationsStart = reader.position;
  let declared = 0;
  for (let index = 0; index < plan.declarations; index++) {
    declared += reader.u32();
    if (declared > mostLocals) reader.fail(`a function has more than ${mostLocals} locals`, at);
    valueType(reader);
  }
  plan.locals = type.parameters + declared;
  plan.codeStart = reader.position;
  return declared;
}

/** Decodes instructions; what they mean for the control flow is left to that. */
class BodyScan {
  readonly #reader: BinaryReader;
  readonly #layout: ModuleLayout;
  readonly #leafCosts: Uint8Array;
  readonly #plan: BodyPlan;
  readonly #type: Arity;
  readonly #spaces: IndexSpaces;
  readonly #tally: Tally = { cost: 0, height: 0 };
  readonly #flow: ControlFlow;

  constructor(reader: BinaryReader, layout: ModuleLayout, leafCosts: Uint8Array, plan: BodyPlan, type: Arity) {
    this.#reader = reader;
    this.#layout = layout;
    this.#leafCosts = leafCosts;
    this.#plan = plan;
    this.#type = type;
    this.#spaces = { locals: plan.locals, globals: layout.globals, functions: layout.functionTypes.length };
    this.#flow = new ControlFlow(reader, plan, this.#tally, type.results);
  }

  scan(declaredLocals: number): void {
    this.#flow.spend(Math.floor(declaredLocals / localsPerFuel));
    while (!this.#flow.ended) this.#instruction();
    if (!this.#reader.done) this.#reader.fail("a function goes on behind its end");
  }

  #instruction(): void {
    const reader = this.#reader;
    straightLine(reader, this.#spaces, this.#tally);
    this.#flow.spend(this.#tally.cost);
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
      case immediate.bulk: {
        const { cost, effect, charge } = bulkInstruction(reader);
        this.#tally.height += effect;
        if (charge !== undefined) this.#lengthCharged(at, charge, cost);
        else this.#flow.spend(cost);
        return;
      }
      default:
        this.#refuse(opcode, at);
    }
  }

  #control(opcode: number, at: number): void {
    const reader = this.#reader;
    const flow = this.#flow;
    switch (opcode) {
      case op.unreachable:
        flow.spend(1);
        flow.trap();
        return;
      case op.block:
        flow.open("block", this.#blockType(), at);
        return;
      case op.loop:
        flow.open("loop", this.#blockType(), at);
        return;
      case op.if:
        this.#tally.height--;
        flow.open("if", this.#blockType(), at);
        return;
      case op.else:
        flow.else(at);
        return;
      case op.end:
        flow.end(at);
        return;
      case op.br:
        flow.branch(at);
        return;
      case op.brIf:
        flow.branchIf(at);
        return;
      case op.brTable:
        flow.branchTable(at);
        return;
      case op.return:
        flow.spend(1 + this.#type.results);
        flow.leave(at);
        return;
      case op.call:
        this.#directCall(at);
        return;
      case op.returnCall:
        this.#directCall(at);
        flow.leave(at);
        return;
      case op.callIndirect:
        this.#indirectCall(at);
        return;
      case op.returnCallIndirect:
        this.#indirectCall(at);
        flow.leave(at);
        return;
      case op.selectTyped:
        for (let rest = reader.u32(); rest > 0; rest--) valueType(reader);
        flow.spend(1);
        this.#tally.height -= 2;
        return;
      default:
        this.#exception(opcode, at);
    }
  }

  #exception(opcode: number, at: number): void {
    const flow = this.#flow;
    this.#plan.exceptions = true;
    switch (opcode) {
      case op.try:
        flow.open("try", this.#blockType(), at);
        return;
      case op.catch:
        flow.handler(this.#tag().parameters, at);
        return;
      case op.catchAll:
        flow.handler(0, at);
        return;
      case op.delegate:
        flow.skipLabel();
        flow.end(at);
        return;
      case op.tryTable:
        this.#tryTable(at);
        return;
      case op.throw:
        flow.spend(instructionCosts.throw + this.#tag().parameters);
        flow.leave(at);
        return;
      case op.rethrow:
        flow.skipLabel();
        flow.spend(instructionCosts.throw);
        flow.leave(at);
        return;
      case op.throwRef:
        flow.spend(instructionCosts.throw);
        flow.leave(at);
        return;
      default:
        this.#refuse(opcode, at);
    }
  }

  #tryTable(at: number): void {
    const reader = this.#reader;
    const type = this.#blockType();
    for (let rest = reader.u32(); rest > 0; rest--) {
      const kind = reader.u8();
      if (kind > 3) reader.fail(`a handler is of the unknown kind ${kind}`, reader.position - 1);
      if (kind < 2) this.#tag();
      this.#flow.handlerLabel();
    }
    this.#flow.open("block", type, at);
  }

  #directCall(at: number): void {
    const index = this.#reader.u32();
    const type = this.#layout.types[this.#layout.functionTypes[index] ?? -1];
    this.#call(at, type ?? this.#missing("function", index, at), instructionCosts.call + (this.#leafCosts[index] ?? 0));
  }

  #indirectCall(at: number): void {
    const index = this.#reader.u32();
    const type = this.#layout.types[index] ?? this.#missing("type", index, at);
    this.#reader.u32();
    this.#tally.height--;
    this.#call(at, type, instructionCosts.indirectCall);
  }

  #call(at: number, { parameters, results }: Arity, cost: number): void {
    this.#flow.spend(cost + parameters + results);
    this.#flow.mark(point.call, at);
    this.#tally.height += results - parameters;
  }

  #lengthCharged(at: number, charge: LengthCharge, cost: number): void {
    this.#flow.spend(cost);
    this.#flow.mark(point.length, at, lengthCharges.indexOf(charge));
  }

  #blockType(): Arity {
    return blockType(this.#reader, this.#layout.types);
  }

  #tag(): Arity {
    const at = this.#reader.position;
    const index = this.#reader.u32();
    return this.#layout.tags[index] ?? this.#missing("tag", index, at);
  }

  #missing(what: string, index: number, at: number): never {
    return this.#reader.fail(`${what} ${index} does not exist`, at);
  }

  #refuse(opcode: number, at: number): never {
    return this.#reader.fail(`the module uses ${refusedOpcode(opcode)}, which the sandbox refuses`, at);
  }
}

import type { BinaryReader } from "./binary-reader.ts";
import { type BodyPlan, branch, type Frame, point } from "./body-plan.ts";
import type { Tally } from "./straight-line.ts";
import type { Arity } from "./types.ts";

/** An optimising compiler takes minutes for a hundred thousand nested loops. A switch may have a block for each case. */
const deepestNesting = 10_000;

/**
 * Follows the control flow of a function while it is read, and decides which segment pays for what. What follows a construct
 * is paid with what precedes it when control cannot leave it another way; every other continuation is a segment of its own.
 * So each path pays what it runs, once, before it runs.
 */
export class ControlFlow {
  readonly #reader: BinaryReader;
  readonly #plan: BodyPlan;
  readonly #tally: Tally;
  /** Those that are open, of the plan's. */
  readonly #frames: Frame[] = [];
  /** What the cost of code that cannot be reached is added to; it is charged nowhere. */
  readonly #deadSegment: number;
  #segment: number;
  /** Frames that were opened in code that cannot be reached, when that is where we are. */
  #deadFrames = 0;
  #reachable = true;

  /** Begins a function, at the reader's position. The tally's height is kept right where control comes together. */
  constructor(reader: BinaryReader, plan: BodyPlan, tally: Tally, results: number) {
    this.#reader = reader;
    this.#plan = plan;
    this.#tally = tally;
    this.#deadSegment = plan.addSegment(false);
    this.#segment = this.#deadSegment;
    this.#charge(true);
    this.#begin("function", { parameters: 0, results });
  }

  /** The function's own frame was closed. */
  get ended(): boolean {
    return this.#frames.length === 0;
  }

  /** Adds to what the instructions here cost together. */
  spend(cost: number): void {
    this.#plan.spend(this.#segment, cost);
  }

  /** Adds a point that is not about a frame, unless it cannot be reached. */
  mark(kind: number, at: number, detail = 0): void {
    if (this.#reachable) this.#plan.addPoint(kind, at, detail);
  }

  /** `block`, `loop`, `if` and `try`. */
  open(kind: "block" | "loop" | "if" | "try", type: Arity, at: number): void {
    if (!this.#reachable) {
      this.#deadFrames++;
      return;
    }
    this.spend(1 + type.parameters + type.results);
    this.#plan.addPoint(point.open, at, this.#plan.frames.length);
    this.#begin(kind, type);
    if (kind !== "block") this.#meet();
    if (kind === "loop" || kind === "if") this.#charge(kind === "loop");
  }

  else(at: number): void {
    if (this.#deadFrames > 0) return;
    const frame = this.#top(at);
    if (frame.kind !== "if" || frame.hasElse) this.#reader.fail("an else stands outside of an if", at);
    this.#beginArm(frame, frame.parameters, at);
    this.#charge(false);
  }

  /** A handler of `try`, which begins with the exception's values. */
  handler(values: number, at: number): void {
    if (this.#deadFrames > 0) return;
    const frame = this.#top(at);
    if (frame.kind !== "try") this.#reader.fail("a catch stands outside of a try", at);
    this.#beginArm(frame, values, at);
    this.#charge(true);
  }

  end(at: number): void {
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
    this.#continueBehind(frame, falls);
  }

  branch(at: number): void {
    this.#jump(at, this.#label(), 0);
  }

  branchIf(at: number): void {
    const target = this.#label();
    this.#tally.height--;
    if (target === undefined) return;
    this.spend(1 + carried(target));
    this.#plan.addPoint(point.branch, at, this.#goTo(target));
    this.#charge(false);
  }

  branchTable(at: number): void {
    let flags = 0;
    for (let rest = this.#reader.u32(); rest > 0; rest--) flags |= this.#goTo(this.#label());
    this.#jump(at, this.#label(), flags);
  }

  /** Reads the label of a handler of `try_table`. */
  handlerLabel(): void {
    const target = this.#label();
    this.#goTo(target);
    if (target !== undefined) target.caught = true;
  }

  /** Reads a label that matters to exceptions only. */
  skipLabel(): void {
    this.#label();
  }

  /** Control leaves the function. */
  leave(at: number): void {
    this.#escapeTo(0);
    this.mark(point.leave, at);
    this.trap();
  }

  /** What follows cannot be reached. */
  trap(): void {
    this.#reachable = false;
    this.#segment = this.#deadSegment;
  }

  #jump(at: number, target: Frame | undefined, otherFlags: number): void {
    if (target === undefined) return;
    this.spend(1 + carried(target));
    this.#plan.addPoint(point.branch, at, this.#goTo(target) | otherFlags);
    this.trap();
  }

  /** Reads a label; undefined in code that is not reached, where labels may lie in frames that were not kept. */
  #label(): Frame | undefined {
    const depth = this.#reader.u32();
    const open = this.#frames.length;
    if (depth >= open + this.#deadFrames) this.#reader.fail("a branch goes to a block that does not exist");
    return this.#reachable ? this.#frames[open - 1 - depth] : undefined;
  }

  /** Notes that control may go to a label and returns the flags of a branch. */
  #goTo(frame: Frame | undefined): number {
    if (frame === undefined) return 0;
    frame.targeted = true;
    this.#meet();
    this.#escapeTo(frame.depth);
    return frame.kind === "function" ? branch.leavesFunction : branch.staysInside;
  }

  #escapeTo(depth: number): void {
    const top = this.#frames[this.#frames.length - 1];
    if (this.#reachable && top !== undefined && depth < top.outermostTarget) top.outermostTarget = depth;
  }

  #begin(kind: Frame["kind"], { parameters, results }: Arity): void {
    if (this.#frames.length > deepestNesting)
      this.#reader.fail(`a function nests blocks deeper than ${deepestNesting}`);
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

  #beginArm(frame: Frame, values: number, at: number): void {
    this.#plan.addPoint(point.arm, at, this.#reachable ? 1 : 0);
    frame.hasElse = true;
    frame.armFalls ||= this.#reachable;
    this.#reachable = true;
    this.#tally.height = frame.base + values;
    this.#meet();
  }

  /** Chooses the segment that what follows a frame is paid with. */
  #continueBehind(frame: Frame, falls: boolean): void {
    const implicitElse = frame.kind === "if" && !frame.hasElse;
    const jumpedTo = frame.kind !== "loop" && frame.targeted;
    const otherPaths = frame.armFalls || implicitElse || jumpedTo;
    this.#reachable = falls || otherPaths;
    if (!this.#reachable) this.trap();
    else if (frame.caught) this.#charge(true);
    else if (frame.outermostTarget >= frame.depth) this.#segment = frame.opening;
    else if (otherPaths) this.#charge(false);
  }

  /** Begins a segment here. */
  #charge(checked: boolean): void {
    this.#segment = this.#plan.addSegment(checked);
    this.#plan.addPoint(point.charge, this.#reader.position, this.#segment);
  }

  /** Control branches or comes together here, where an engine looks at every live value. */
  #meet(): void {
    this.#plan.liveAtBranches += this.#plan.locals + Math.max(0, this.#tally.height);
  }

  #top(at: number): Frame {
    return this.#frames[this.#frames.length - 1] ?? this.#reader.fail("a function ends twice", at);
  }
}

/** The values that a branch to the frame takes along. */
function carried(frame: Frame): number {
  return frame.kind === "loop" ? frame.parameters : frame.results;
}

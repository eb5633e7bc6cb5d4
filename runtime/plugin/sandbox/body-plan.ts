/** A construct that `end` closes. */
export interface Frame {
  /** Its index in the plan. */
  readonly index: number;
  readonly kind: "function" | "block" | "loop" | "if" | "try";
  /** Its place on the stack of frames; the function itself is 0. */
  readonly depth: number;
  /** The segment that it began in. */
  readonly opening: number;
  /** Values on the stack beneath it, and those that it takes and gives. */
  readonly base: number;
  readonly parameters: number;
  readonly results: number;
  hasElse: boolean;
  /** Some branch goes to its label. */
  targeted: boolean;
  /** An exception handler goes to its label. */
  caught: boolean;
  /** An arm that is closed already (`then`, or a `try` before its handlers) reaches the end. */
  armFalls: boolean;
  /** The outermost frame that control goes to from inside; at least `depth` when it always comes out at the end. */
  outermostTarget: number;
}

/** What the emitter has to do at a place in a function's code; behind each what its detail is. */
export const point = {
  /** Pay for a segment: its index. */
  charge: 0,
  /** Control leaves for a while; the host or another function may look at the fuel and change it. */
  call: 1,
  /** A length lies on the stack and is charged for: an index of `lengthCharges`. */
  length: 2,
  /** Control leaves the function for good. */
  leave: 3,
  /** Control may go to a label: flags of `branch`. */
  branch: 4,
  /** A frame begins: its index. */
  open: 5,
  /** `else` or a handler: 1 when the code before it reaches the end of the frame. */
  arm: 6,
  /** A frame ends: twice its index, and 1 when the code before it reaches the end. */
  end: 7,
} as const;

/** Where a branch may go. */
export const branch = { leavesFunction: 1, staysInside: 2 } as const;

/** What is paid for by its length, through functions that the rewriter adds. */
export const lengthCharges = ["bytes", "entries", "pages", "tableGrowth"] as const;
export type LengthCharge = (typeof lengthCharges)[number];

/**
 * How a function is metered: the scan writes it, the emitter reads it, and the next function uses it again. It is made of
 * columns of numbers, since a module of some megabytes has a million points.
 */
export class BodyPlan {
  /** How many groups of locals the function declares, and where the first lies. */
  declarations = 0;
  declarationsStart = 0;
  /** Where its code begins, behind the declarations. */
  codeStart = 0;
  end = 0;
  /** Parameters and declared locals. */
  locals = 0;
  /** Whether it throws or catches. */
  exceptions = false;
  /** Locals and values on the stack, summed over the places where control branches or comes together. */
  liveAtBranches = 0;
  readonly frames: Frame[] = [];
  /** Kind, offset and detail. */
  readonly #points = new Triples();
  /** The cost, and 1 when it is checked. */
  readonly #segments = new Triples();

  clear(): void {
    this.exceptions = false;
    this.liveAtBranches = 0;
    this.frames.length = 0;
    this.#points.length = 0;
    this.#segments.length = 0;
  }

  get points(): number {
    return this.#points.length;
  }

  addPoint(kind: number, at: number, detail: number): void {
    this.#points.push(kind, at, detail);
  }

  kindOf(index: number): number {
    return this.#points.get(index, 0);
  }

  /** The offset in the module before which the point lies. */
  offsetOf(index: number): number {
    return this.#points.get(index, 1);
  }

  detailOf(index: number): number {
    return this.#points.get(index, 2);
  }

  /** Adds instructions that run together or not at all and returns their index. */
  addSegment(checked: boolean): number {
    // Being checked costs one, so that no loop and no recursion is free.
    this.#segments.push(checked ? 1 : 0, checked ? 1 : 0, 0);
    return this.#segments.length - 1;
  }

  spend(segment: number, cost: number): void {
    this.#segments.add(segment, cost);
  }

  costOf(segment: number): number {
    return this.#segments.get(segment, 0);
  }

  /** The guest is stopped where such a segment begins when its fuel is used up. */
  isChecked(segment: number): boolean {
    return this.#segments.get(segment, 1) === 1;
  }
}

/** Rows of three numbers, appended and read. */
class Triples {
  length = 0;
  #values = new Int32Array(3 * 1_024);

  push(first: number, second: number, third: number): void {
    const at = this.length * 3;
    if (at === this.#values.length) this.#enlarge();
    this.#values[at] = first;
    this.#values[at + 1] = second;
    this.#values[at + 2] = third;
    this.length++;
  }

  get(row: number, column: 0 | 1 | 2): number {
    return this.#values[row * 3 + column] ?? 0;
  }

  /** Adds to the first number of a row. */
  add(row: number, value: number): void {
    this.#values[row * 3] = this.get(row, 0) + value;
  }

  #enlarge(): void {
    const larger = new Int32Array(this.#values.length * 2);
    larger.set(this.#values);
    this.#values = larger;
  }
}

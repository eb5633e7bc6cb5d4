/** Instructions that run together or not at all; paid where it begins. */
export interface Segment {
  cost: number;
  /** The guest is stopped here when fuel is used up: at the entry of functions, heads of loops and exception handlers. */
  readonly checked: boolean;
}

/** A construct that `end` closes. */
export interface Frame {
  readonly kind: "function" | "block" | "loop" | "if" | "try";
  /** Its place on the stack of frames; the function itself is 0. */
  readonly depth: number;
  /** Values that a branch to it takes along. */
  readonly arity: number;
  /** The segment that it began in. */
  readonly opening: Segment;
  hasElse: boolean;
  /** Some branch goes to its label. */
  targeted: boolean;
  /** An exception handler goes to its label. */
  caught: boolean;
  /** An arm that is closed already (`then`, or a `try` before its handlers) reaches the end. */
  armFalls: boolean;
  /** The outermost frame that is left for, from inside; its own depth or more when control always comes out at the end. */
  outermostTarget: number;
}

/** What is paid for by its length, through a function that the rewriter adds. */
export type LengthCharge = "bytes" | "entries" | "pages" | "tableGrowth";

/** A place in a function's code where the emitter has to do something before it goes on copying. */
export type Point =
  | { readonly kind: "charge"; readonly at: number; readonly segment: Segment }
  /** Control leaves for a while: the host or another function may look at the fuel. */
  | { readonly kind: "call"; readonly at: number }
  /** The length is on the stack and is charged before the instruction. */
  | { readonly kind: "length"; readonly at: number; readonly charge: LengthCharge }
  /** Control leaves for good. */
  | { readonly kind: "leave"; readonly at: number }
  | {
      readonly kind: "branch";
      readonly at: number;
      readonly conditional: boolean;
      readonly leavesFunction: boolean;
      readonly staysInside: boolean;
    }
  | { readonly kind: "trap"; readonly at: number }
  | { readonly kind: "open"; readonly at: number; readonly frame: Frame }
  /** `else`, `catch`, `catch_all`. */
  | { readonly kind: "arm"; readonly at: number; readonly frame: Frame; readonly falls: boolean }
  | { readonly kind: "end"; readonly at: number; readonly frame: Frame; readonly falls: boolean };

/** How a function is metered. */
export interface BodyPlan {
  /** Where its code begins, behind the declarations of locals. */
  readonly codeStart: number;
  readonly end: number;
  /** Parameters and declared locals. */
  readonly locals: number;
  /** Where the vector of local declarations begins, and how many there are. */
  readonly declarationsStart: number;
  readonly declarationsEnd: number;
  readonly declarations: number;
  /** Whether it throws or catches. */
  readonly exceptions: boolean;
  readonly points: readonly Point[];
}

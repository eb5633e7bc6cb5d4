import type { parse } from "@bufbuild/cel";

export const longestExpression = 2_048;
const deepestNesting = 64;
const maxNodes = 256;

const searches: ReadonlySet<string> = new Set(["matches", "contains"]);

type Node = ReturnType<typeof parse>["expr"];

/** What the work of an expression depends on. */
export interface ExpressionSize {
  readonly nodes: number;
  /** Searches within text, as by regular expressions: what may take longest for a byte. */
  readonly searches: number;
  /** Whether it goes through lists or maps. */
  readonly loops: boolean;
}

/** How deep brackets nest, those in strings included, for the parser to look at the text; undefined when that is too deep. */
export function nestingOf(text: string): number | undefined {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if ("([{".includes(character)) depth += 1;
    else if (")]}".includes(character)) depth -= 1;
    deepest = Math.max(deepest, depth);
    if (deepest > deepestNesting) return undefined;
  }
  return deepest;
}

/** Counts a parsed expression; undefined when it is too large, or loops within a loop, whose work would be the product of both. */
export function sizeOf(expression: Node | undefined): ExpressionSize | undefined {
  const size = { nodes: 0, searches: 0, loops: false };
  const visit = (node: Node | undefined, isInLoop: boolean): boolean => {
    if (node === undefined) return true;
    size.nodes += 1;
    if (size.nodes > maxNodes) return false;
    const { exprKind } = node;
    switch (exprKind.case) {
      case "selectExpr":
        return visit(exprKind.value.operand, isInLoop);
      case "callExpr":
        if (searches.has(exprKind.value.function)) size.searches += 1;
        return visit(exprKind.value.target, isInLoop) && exprKind.value.args.every((one) => visit(one, isInLoop));
      case "listExpr":
        return exprKind.value.elements.every((one) => visit(one, isInLoop));
      case "structExpr":
        return exprKind.value.entries.every(
          ({ keyKind, value }) =>
            visit(keyKind.case === "mapKey" ? keyKind.value : undefined, isInLoop) && visit(value, isInLoop),
        );
      case "comprehensionExpr": {
        if (isInLoop) return false;
        size.loops = true;
        const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value;
        return visit(iterRange, true) && [accuInit, loopCondition, loopStep, result].every((one) => visit(one, true));
      }
      default:
        return true;
    }
  };
  return visit(expression, false) ? size : undefined;
}

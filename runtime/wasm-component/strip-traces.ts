import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";

const trace = /^[ \t]*_debugLog\(/gm;
const endOfStatement = /\s*;[ \t]*\n?/y;

/**
 * The code without the statements that trace it. What they would tell is put together at every step, whether anybody reads it or
 * not: a fifth of the time of a call, and a tenth of the code. Throws SandboxError when the end of one is not found.
 */
export function stripTraces(code: string): string {
  const kept: string[] = [];
  let from = 0;
  for (const match of code.matchAll(trace)) {
    if (match.index < from) continue;
    endOfStatement.lastIndex = endOfCall(code, match.index + match[0].length);
    if (!endOfStatement.test(code)) throw unexpected();
    kept.push(code.slice(from, match.index));
    from = endOfStatement.lastIndex;
  }
  kept.push(code.slice(from));
  return kept.join("");
}

/** Behind the parenthesis that closes the one before `start`. */
function endOfCall(code: string, start: number): number {
  let depth = 1;
  let quote: string | undefined;
  for (let at = start; at < code.length; at++) {
    const character = code[at];
    if (quote !== undefined) {
      if (character === "\\") at++;
      else if (character === quote) quote = undefined;
    } else if (character === '"' || character === "'" || character === "`") quote = character;
    else if (character === "(") depth++;
    else if (character === ")" && --depth === 0) return at + 1;
  }
  throw unexpected();
}

const unexpected = (): SandboxError =>
  new SandboxError("the code generated for the component is not as expected: the end of a trace was not found");

/** What compiling a regular expression of RE2 depends on. */
export interface PatternSize {
  /** At least as many instructions as it becomes: counted repetitions are written out. */
  readonly instructions: number;
  /** Such as `\pL`, which stands for hundreds of ranges. */
  readonly unicodeClasses: number;
}

/** `(?i)`, which stands for nothing: what is repeated lies before it. */
const flags = /\(\?[a-zA-Z-]*\)/y;
const repetition = /\{(\d+)(?:(,)(\d*))?\}/y;

/** Reads the pattern once, without asking whether it is one. */
export function patternSize(pattern: string): PatternSize {
  /** Of the groups that are open, the innermost last. */
  const groups: number[] = [];
  let unicodeClasses = 0;
  let sum = 3;
  let last = 0;
  const add = (size: number): void => {
    sum += size;
    last = size;
  };
  let at = 0;
  while (at < pattern.length) {
    const character = pattern[at];
    if (character === "(") {
      flags.lastIndex = at;
      if (flags.test(pattern)) {
        at = flags.lastIndex;
        continue;
      }
      groups.push(sum);
      sum = 3;
      last = 0;
      at += 1;
    } else if (character === ")") {
      const inner = sum;
      sum = groups.pop() ?? 0;
      add(inner);
      at += 1;
    } else if (character === "[") {
      const end = classEnd(pattern, at);
      unicodeClasses += unicodeClassesIn(pattern.slice(at, end));
      add(1);
      at = end;
    } else if (character === "\\") {
      const end = escapeEnd(pattern, at);
      const isQuote = pattern[at + 1] === "Q";
      if (!isQuote) unicodeClasses += unicodeClassesIn(pattern.slice(at, end));
      if (isQuote) sum += end - at;
      add(1);
      at = end;
    } else if (character === "{") {
      const found = repetitionAt(pattern, at);
      const times = found?.times ?? 1;
      sum += last * Math.max(times - 1, 0) + times;
      last = (last + 1) * times;
      at += found?.length ?? 1;
    } else {
      const isRepetition = character === "*" || character === "+" || character === "?";
      sum += isRepetition || character === "|" ? 2 : 1;
      last = isRepetition ? last + 2 : 1;
      at += 1;
    }
  }
  return { instructions: groups.reduce((total, one) => total + one, sum), unicodeClasses };
}

/** Behind the bracket that closes the class which begins there. */
function classEnd(pattern: string, start: number): number {
  let at = start + 1;
  if (pattern[at] === "^") at += 1;
  // A bracket that comes first stands for itself.
  if (pattern[at] === "]") at += 1;
  while (at < pattern.length && pattern[at] !== "]") {
    const named = pattern.startsWith("[:", at) ? pattern.indexOf(":]", at + 2) : -1;
    if (named !== -1) at = named + 2;
    else if (pattern[at] === "\\") at = escapeEnd(pattern, at);
    else at += 1;
  }
  return at + 1;
}

/** Behind the escape that begins there: `\d`, `\x{10ffff}`, `\p{Greek}`, `\Q...\E`. */
function escapeEnd(pattern: string, start: number): number {
  const kind = pattern[start + 1];
  if (kind === "Q") {
    const end = pattern.indexOf("\\E", start + 2);
    return end === -1 ? pattern.length : end + 2;
  }
  const takesBraces = kind === "p" || kind === "P" || kind === "x";
  const end = takesBraces && pattern[start + 2] === "{" ? pattern.indexOf("}", start + 3) : -1;
  return end === -1 ? start + 2 : end + 1;
}

const unicodeClassesIn = (text: string): number => text.match(/\\[pP]/g)?.length ?? 0;

function repetitionAt(pattern: string, at: number): { readonly times: number; readonly length: number } | undefined {
  repetition.lastIndex = at;
  const [whole = "", least, comma, most] = repetition.exec(pattern) ?? [];
  if (least === undefined) return undefined;
  const isOpen = comma !== undefined && most === "";
  return { times: Math.max(Number(least) + (isOpen ? 1 : 0), Number(most ?? 0)), length: whole.length };
}

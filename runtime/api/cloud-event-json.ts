/**
 * The source text of a member's value in a JSON object, or undefined when it has none of that name. The text must be a
 * valid object. With the source, numbers that JavaScript cannot hold travel as they were written.
 */
export function memberSource(json: string, name: string): string | undefined {
  let source: string | undefined;
  let at = skipBlanks(json, json.indexOf("{") + 1);
  while (json[at] === '"') {
    const keyEnd = stringEnd(json, at);
    const isWanted = JSON.parse(json.slice(at, keyEnd)) === name;
    const start = skipBlanks(json, json.indexOf(":", keyEnd) + 1);
    const end = valueEnd(json, start);
    // The last of several is the one that counts, as for JSON.parse.
    if (isWanted) source = json.slice(start, end);
    at = skipBlanks(json, end);
    if (json[at] === ",") at = skipBlanks(json, at + 1);
  }
  return source;
}

function skipBlanks(json: string, from: number): number {
  let at = from;
  while (json[at] === " " || json[at] === "\n" || json[at] === "\r" || json[at] === "\t") at++;
  return at;
}

/** Where the string that begins at `from` is over. */
function stringEnd(json: string, from: number): number {
  for (let quote = json.indexOf('"', from + 1); ; quote = json.indexOf('"', quote + 1)) {
    let escapes = 0;
    while (json[quote - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return quote + 1;
  }
}

function valueEnd(json: string, from: number): number {
  let depth = 0;
  let at = from;
  for (;;) {
    const character = json[at];
    if (character === '"') {
      at = stringEnd(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (character === undefined || /[,\s]/.test(character))) return at;
    at++;
  }
}

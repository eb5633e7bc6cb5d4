/** What of the glue takes values out of the memory of a guest: each place tells how much, before it does. */
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";

/** The name under which an instance is given who is told: no component can import it. */
export const crossingsName = "outrigger:crossings";

/** Told by the code of an instance; it throws when that is too much. */
export interface Crossings {
  /** A call of the host is about to be made. */
  call(): void;
  /** A text of so many bytes. */
  text(memory: WebAssembly.Memory, start: number, bytes: number): void;
  /** A copy of so many bytes. */
  bytes(memory: WebAssembly.Memory, start: number, bytes: number): void;
  /** A list of so many elements, of that size each. */
  list(elements: number, size: number): void;
}

const nobody = "{ call() {}, text() {}, bytes() {}, list() {} }";

interface Place {
  readonly from: RegExp;
  readonly to: string;
  /** What would be left of the code if the places were written otherwise. */
  readonly left: RegExp;
}

const places: readonly Place[] = [
  {
    from: /\b(\w+)\.decode\(new (Uint8|Uint16)Array\((memory\d+)\.buffer, (\w+), (\w+)\)\)/g,
    to: "(_crossings.text($3, $4, $5 * $2Array.BYTES_PER_ELEMENT), $1.decode(new $2Array($3.buffer, $4, $5)))",
    left: /(?<!_crossings\.text\([^()]*\), )\b\w+\.decode\(new \w+\(memory\d/,
  },
  {
    from: /\b(memory\d+)\.buffer\.slice\((\w+), \2 \+ (\w+) \* (\d+)\)/g,
    to: "(_crossings.bytes($1, $2, $3 * $4), $1.buffer.slice($2, $2 + $3 * $4))",
    left: /(?<!_crossings\.bytes\([^()]*\), )\bmemory\d+\.buffer\.slice\(/,
  },
  {
    from: /\bfor \(let i = 0; i < (len\d+); i\+\+\) \{(?=\s*const base = base\d+ \+ i \* (\d+);)/g,
    to: "_crossings.list($1, $2);\nfor (let i = 0; i < $1; i++) {",
    left: /(?<!_crossings\.list\([^()]*\);\n)\bfor \(let i = 0; i < len\d/,
  },
  {
    from: /\b(function _lowerImportBackwardsCompat\(args\) \{)/g,
    to: "$1 _crossings.call();",
    left: /\bfunction _lowerImportBackwardsCompat\((?!args\) \{ _crossings)/,
  },
];

const head = /\bfunction instantiate\(\w+, (\w+)[^)]*\) \{/;

/** The code, whose instances tell `imports[crossingsName]`. Throws SandboxError when a place is written in a way that is not known. */
export function watchCrossings(code: string): string {
  if (!head.test(code)) throw unexpected("its beginning");
  let text = code;
  for (const { from, to, left } of places) {
    text = text.replace(from, to);
    const [unknown] = left.exec(text) ?? [];
    if (unknown !== undefined) throw unexpected(unknown);
  }
  return text.replace(head, `$& const _crossings = $1?.["${crossingsName}"] ?? ${nobody};`);
}

const unexpected = (what: string): SandboxError =>
  new SandboxError(
    `the code generated for the component is not as expected: it has '${what}' in a way that is not known`,
  );

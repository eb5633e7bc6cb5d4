/**
 * What of the glue moves values into a guest and out of it, or runs in the host between two parts of one: each place tells how
 * much, before it does. A place that is written in another way is found out, for it would tell nothing.
 */
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";

/** The name under which an instance is given who is told: no component can import it. */
export const crossingsName = "outrigger:crossings";

/** Told by the code of an instance; it throws when that is too much. */
export interface Crossings {
  /** A call of the host, or of another part of the component, is about to be made. */
  call(): void;
  /** The host does something small for the guest, such as forgetting a handle. */
  step(): void;
  /** A text of so many bytes. */
  text(memory: WebAssembly.Memory, start: number, bytes: number): void;
  /** A copy of so many bytes. */
  bytes(memory: WebAssembly.Memory, start: number, bytes: number): void;
  /** A list of so many elements, of that size each. */
  list(elements: number, size: number): void;
  /** So many bytes, or elements of a list, of the host's own are about to be put into the memory of the guest. */
  given(amount: number): void;
}

const nobody = "{ call() {}, step() {}, text() {}, bytes() {}, list() {}, given() {} }";

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
    from: /\bfor \(let i = 0; i < (len\d+|\d+); i\+\+\) \{(?=\s*const base = \w+ \+ i \* (\d+);)/g,
    to: "_crossings.list($1, $2);\nfor (let i = 0; i < $1; i++) {",
    left: /(?<!_crossings\.list\([^()]*\);\n)\bfor \(let i = 0; i < (?:len)?\d/,
  },
  {
    from: /\b(function (?:_lowerImportBackwardsCompat|_symmetricSyncGuestCallEnter)\([^)]*\) \{)/g,
    to: "$1 _crossings.call();",
    left: /\bfunction (?:_lowerImportBackwardsCompat|_symmetricSyncGuestCallEnter)\((?![^)]*\) \{ _crossings)/,
  },
  {
    from: /\b(function (?:trampoline\d+|rscTable(?:Create\w+|Remove)|context[GS]et)\([^)]*\) \{)/g,
    to: "$1 _crossings.step();",
    left: /\bfunction trampoline\d+\((?![^)]*\) \{ _crossings)/,
  },
  // What one part of a component has its adapter fetch from the memory of another, and put there.
  {
    from: /^(\s*'mem\d+ \w+': (?:\([\w, ]*\)|\w+) => )(new DataView\(\w+\.\w+\.buffer\)\.\w+\(ptr \+ off, true\)|\w+\.\w+\.buffer\.byteLength \/ 65536),$/gm,
    to: "$1(_crossings.step(), $2),",
    left: /^\s*'mem\d+ \w+': (?:\([\w, ]*\)|\w+) => (?!\(_crossings|\{)/m,
  },
  {
    from: /^(\s*'mem\d+ \w+': \([\w, ]*\) => \{)/gm,
    to: "$1 _crossings.step();",
    left: /^\s*'mem\d+ \w+': (?!(?:\([\w, ]*\)|\w+) => (?:\(_crossings|\{ _crossings))/m,
  },
  {
    from: /\bnew Uint8Array\((memory\d+)\.buffer, to_ptr, len\)\.set\(new Uint8Array\((memory\d+)\.buffer, from_ptr, len\)\);/g,
    to: "_crossings.bytes($2, from_ptr, len); new Uint8Array($1.buffer, to_ptr, len).set(new Uint8Array($2.buffer, from_ptr, len));",
    left: /(?<!_crossings\.bytes\([^()]*\); )\bnew Uint8Array\(memory\d+\.buffer, to_ptr/,
  },
  {
    from: /\bString\.fromCharCode\.apply\(null, new Uint16Array\((memory\d+)\.buffer, src, src_len\)\)/g,
    to: "(_crossings.text($1, src, src_len * 2), String.fromCharCode.apply(null, new Uint16Array($1.buffer, src, src_len)))",
    left: /(?<!_crossings\.text\([^()]*\), )\bString\.fromCharCode\.apply\(/,
  },
  // What the host gives.
  {
    from: /(\bfunction _utf8AllocateAndEncode\(s, realloc, memory\) \{\s*if \(typeof s !== 'string'\) \{[^}]*\})/g,
    to: "$1 _crossings.given(s.length);",
    left: /\bfunction _utf8AllocateAndEncode\w*\((?!s, realloc, memory\) \{[^}]*\} _crossings)/,
  },
  {
    from: /\b(function _utf16AllocateAndEncode\(str, realloc, memory\) \{\s*const len = str\.length;)/g,
    to: "$1 _crossings.given(len);",
    left: /\bfunction _utf16AllocateAndEncode\w*\((?!str, realloc, memory\) \{\s*const len = str\.length; _crossings)/,
  },
  {
    from: /\bfor \(let i = 0; i < (vec\d+)\.length; i\+\+\) \{/g,
    to: "_crossings.given($1.length);\nfor (let i = 0; i < $1.length; i++) {",
    left: /(?<!_crossings\.given\([^()]*\);\n)\bfor \(let i = 0; i < vec\d/,
  },
  {
    from: /\bvar (ptr\d+) = (realloc\d+)\(0, 0, (\d+), (len\d+) \* (\d+)\);/g,
    to: "_crossings.given($4 * $5); var $1 = $2(0, 0, $3, $4 * $5);",
    left: /(?<!_crossings\.given\([^()]*\); )\bvar ptr\d+ = realloc\d+\(0, 0, \d+, (?!\d+\);)/,
  },
];

const head = /\bfunction instantiate\(\w+, (\w+)[^)]*\) \{/;

/** All that may be done with the memory of a guest: each of the places, and what reads and writes single values. */
const ofMemories = [
  /_crossings\.(?:text|bytes)\(memory\d+,/,
  /dataView\(memory\d+\)/,
  /new (?:DataView|Uint8Array|Uint16Array)\(memory\d+\.buffer(?:, \w+, \w+)?\)/,
  /\), memory\d+\.buffer\.slice\(/,
  /, realloc\d+, memory\d+\)/,
  /\(\) => memory\d+\b/,
  /let memory\d+;/,
  /memory\d+ = exports\d+\b/,
];
const knownOfMemories = new RegExp(ofMemories.map(({ source }) => source).join("|"), "g");
const anyMemory = /(?<![.'"$\w])memory\d+\b.*/;

/** What a core module is given that is no function written in place: calls of the host, handles and calls between parts. */
const knownGiven =
  /^(?:_trampoline\d+\.manuallyAsync \? |new WebAssembly\.Suspending\(_suspendingImport\(\d+, _lowerImportBackwardsCompat\.bind\(|_lowerImportBackwardsCompat\.bind\(|_conditionalSuspending\w*\(|_symmetricSyncGuestCallExit;|rscTableCreateOwn\.bind\(|resourceTransfer(?:Own|Borrow);)/;
const given = /^\s*(?:const|let|var) trampoline\d+ = (.*)$/gm;

/** The code, whose instances tell `imports[crossingsName]`. Throws SandboxError when a place is written in a way that is not known. */
export function watchCrossings(code: string): string {
  if (!head.test(code)) throw unexpected("its beginning");
  for (const [, what = ""] of code.matchAll(given)) if (!knownGiven.test(what)) throw unsupported();
  let text = code;
  for (const { from, to, left } of places) {
    text = text.replace(from, to);
    const [unknown] = left.exec(text) ?? [];
    if (unknown !== undefined) throw unexpected(unknown);
  }
  const [unknown] = anyMemory.exec(text.replace(knownOfMemories, "")) ?? [];
  if (unknown !== undefined) throw unexpected(unknown);
  return text.replace(head, `$& const _crossings = $1?.["${crossingsName}"] ?? ${nobody};`);
}

const unexpected = (what: string): SandboxError =>
  new SandboxError(
    `the code generated for the component is not as expected: it has '${what.trim().slice(0, 120)}' in a way that is not known`,
  );

const unsupported = (): SandboxError =>
  new SandboxError(
    "the component uses functions of the component model that are asynchronous by themselves, as in WASI 0.3, which this host does not have",
  );

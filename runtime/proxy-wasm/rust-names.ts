/** Steps that a name may take to read: what is written in it may refer to itself. */
const mostSteps = 500;
const longestName = 2_000;
const basicTypes: Readonly<Record<string, string>> = {
  a: "i8",
  b: "bool",
  c: "char",
  d: "f64",
  e: "str",
  f: "f32",
  h: "u8",
  i: "isize",
  j: "usize",
  l: "i32",
  m: "u32",
  n: "i128",
  o: "u128",
  p: "_",
  s: "i16",
  t: "u16",
  u: "()",
  v: "...",
  x: "i64",
  y: "u64",
  z: "!",
};
const pointers: Readonly<Record<string, string>> = { R: "&", Q: "&mut ", P: "*const ", O: "*mut " };
const escapes: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

/**
 * What the author calls a function of Rust, from what its compiler does: `stumbler::Stream::stumble`, without the arguments of
 * generics. Any other name stays as it is.
 */
export function readableName(name: string): string {
  if (name.length > longestName) return name;
  if (name.startsWith("_R")) return new SymbolReader(name.slice(2)).read() ?? name;
  const [, parts] = /^_ZN(\d.*)17h[\da-f]{16}E/.exec(name) ?? [];
  return parts === undefined ? name : (oldParts(parts)?.join("::") ?? name);
}

/** Of the scheme before v0: each part with its length before it. */
function oldParts(text: string): string[] | undefined {
  const parts: string[] = [];
  for (let rest = text; rest !== ""; ) {
    const size = Number.parseInt(rest, 10);
    const start = String(size).length;
    if (!(size > 0) || start + size > rest.length) return undefined;
    parts.push(unescaped(rest.slice(start, start + size)));
    rest = rest.slice(start + size);
  }
  return parts;
}

const unescaped = (part: string): string =>
  part
    .replace(/^_\$/, "$")
    .replaceAll("..", "::")
    .replace(/\$(u[\da-f]{1,5}|[A-Z]{1,2})\$/g, (all, code: string) =>
      code.startsWith("u") ? String.fromCodePoint(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? all),
    );

/** A symbol of scheme v0 (https://doc.rust-lang.org/rustc/symbol-mangling/v0.html) after its `_R`. */
class SymbolReader {
  readonly #text: string;
  #at = 0;
  #steps = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Undefined when it is no such symbol. */
  read(): string | undefined {
    try {
      return this.#path();
    } catch {
      return undefined;
    }
  }

  #next(): string {
    this.#steps += 1;
    const letter = this.#text[this.#at++];
    if (letter === undefined || this.#steps > mostSteps) throw new RangeError("not a symbol");
    return letter;
  }

  #took(letter: string): boolean {
    if (this.#text[this.#at] !== letter) return false;
    this.#next();
    return true;
  }

  #path(): string {
    const kind = this.#next();
    switch (kind) {
      case "C":
        return this.#identifier();
      case "N":
        return this.#nested();
      case "M":
        this.#implementation();
        return this.#type();
      case "X":
        this.#implementation();
        return this.#asTrait();
      case "Y":
        return this.#asTrait();
      case "I": {
        const generic = this.#path();
        this.#until("E", () => this.#argument());
        return generic;
      }
      case "B":
        return this.#again(() => this.#path());
      default:
        throw new RangeError(`no path begins with ${kind}`);
    }
  }

  #nested(): string {
    const space = this.#next();
    const outer = this.#path();
    const name = this.#identifier();
    const shown = space === "C" ? "{closure}" : name;
    return shown === "" ? outer : `${outer}::${shown}`;
  }

  #asTrait(): string {
    const type = this.#type();
    return `<${type} as ${this.#path()}>`;
  }

  /** Where an implementation stands is not told. */
  #implementation(): void {
    this.#disambiguator();
    this.#path();
  }

  #argument(): string {
    if (this.#took("L")) return `'${this.#base62()}`;
    if (this.#took("K")) return this.#constant();
    return this.#type();
  }

  #constant(): string {
    if (this.#took("B")) return this.#again(() => this.#constant());
    if (this.#took("p")) return "_";
    this.#type();
    this.#upTo("_");
    return "_";
  }

  #type(): string {
    const kind = this.#next();
    const basic = basicTypes[kind];
    if (basic !== undefined) return basic;
    const pointer = pointers[kind];
    if (pointer !== undefined) {
      if (this.#took("L")) this.#base62();
      return `${pointer}${this.#type()}`;
    }
    switch (kind) {
      case "A": {
        const element = this.#type();
        return `[${element}; ${this.#constant()}]`;
      }
      case "S":
        return `[${this.#type()}]`;
      case "T":
        return `(${this.#until("E", () => this.#type()).join(", ")})`;
      case "F":
        return this.#function();
      case "D":
        return this.#dynamic();
      case "B":
        return this.#again(() => this.#type());
      default:
        this.#at -= 1;
        return this.#path();
    }
  }

  #function(): string {
    if (this.#took("G")) this.#base62();
    this.#took("U");
    if (this.#took("K") && !this.#took("C")) this.#plainIdentifier();
    const parameters = this.#until("E", () => this.#type()).join(", ");
    return `fn(${parameters}) -> ${this.#type()}`;
  }

  #dynamic(): string {
    if (this.#took("G")) this.#base62();
    const traits = this.#until("E", () => {
      const trait = this.#path();
      while (this.#took("p")) {
        this.#plainIdentifier();
        this.#type();
      }
      return trait;
    });
    if (this.#took("L")) this.#base62();
    return `dyn ${traits.join(" + ")}`;
  }

  #identifier(): string {
    this.#disambiguator();
    return this.#plainIdentifier();
  }

  #disambiguator(): void {
    if (this.#took("s")) this.#base62();
  }

  #plainIdentifier(): string {
    this.#took("u");
    let digits = "";
    while (/\d/.test(this.#text[this.#at] ?? "") && digits !== "0") digits += this.#next();
    if (digits === "") throw new RangeError("an identifier has a length");
    this.#took("_");
    const start = this.#at;
    this.#at += Number(digits);
    if (this.#at > this.#text.length) throw new RangeError("an identifier ends");
    return this.#text.slice(start, this.#at);
  }

  /** What was written before, at the place that is named here. */
  #again(read: () => string): string {
    const target = this.#base62();
    const here = this.#at;
    this.#at = target;
    const found = read();
    this.#at = here;
    return found;
  }

  #base62(): number {
    const digits = this.#upTo("_");
    if (digits === "") return 0;
    const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return [...digits].reduce((value, digit) => value * 62 + alphabet.indexOf(digit), 0) + 1;
  }

  #upTo(end: string): string {
    let text = "";
    while (!this.#took(end)) text += this.#next();
    return text;
  }

  #until(end: string, read: () => string): string[] {
    const found: string[] = [];
    while (!this.#took(end)) found.push(read());
    return found;
  }
}

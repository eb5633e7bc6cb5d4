import { type Context, createContext, runInContext } from "node:vm";

/** A label that is made of a part of a metric's name; the same as a tag in Envoy's `stats_tags`. */
export interface MetricTag {
  readonly tag: string;
  /** The first group is taken out of the name; the second, or the only one, is the value. */
  readonly regex: string;
}

/** What a guest's name for a metric comes to. */
export interface TaggedName {
  readonly name: string;
  /** Fit for Prometheus, in the order of their names. */
  readonly labels: Readonly<Record<string, string>>;
}

type Range = readonly [start: number, end: number];

/** What Envoy puts before the name of a metric that a guest defines; its regular expressions may ask for it. */
const namespace = "wasmcustom.";
/** How Istio's plugins write a tag: `reporter=.=source;.;`. */
const istioTag = /([A-Za-z_][A-Za-z0-9_]*)=\.=(.*?);\.;/dg;
/** A regular expression is given so long for a name, and no second time. */
const longestMs = 50;
const search = "pattern.exec(name)";

/**
 * Takes labels out of names. The names come from a guest, and a regular expression can be slow on a name made for it: one
 * that takes too long is left out from then on, as `slow` is told.
 */
export class MetricTagger {
  readonly #slow: (tag: string) => void;
  #scope: Context | undefined;
  #patterns: readonly { readonly tag: string; readonly pattern: RegExp }[];

  constructor(tags: readonly MetricTag[], slow: (tag: string) => void) {
    this.#slow = slow;
    this.#patterns = tags.map(({ tag, regex }) => ({ tag, pattern: new RegExp(regex, "d") }));
  }

  /** Every tag is looked for in the whole name; the first that gives a label decides what it is. */
  of(name: string): TaggedName {
    const full = name.startsWith(namespace) ? name : `${namespace}${name}`;
    const labels = new Map<string, string>();
    const taken: Range[] = [];
    const take = (tag: string, value: string | undefined, range: Range | undefined): void => {
      if (range === undefined) return;
      taken.push(range);
      const label = labelOf(tag);
      if (value !== undefined && value !== "" && !labels.has(label)) labels.set(label, value);
    };
    for (const { tag, pattern } of this.#patterns) {
      const found = this.#search(tag, pattern, full);
      if (found === undefined) continue;
      take(tag, found[2] ?? found[1], found.indices?.[1]);
    }
    for (const found of full.matchAll(istioTag)) take(found[1] ?? "", found[2], found.indices?.[0]);
    const rest = without(full, [...taken, [0, full.length - name.length]]);
    return { name: rest === "" ? name : rest, labels: Object.fromEntries([...labels].sort()) };
  }

  #search(tag: string, pattern: RegExp, name: string): RegExpExecArray | undefined {
    this.#scope ??= createContext({});
    Object.assign(this.#scope, { pattern, name });
    try {
      return runInContext(search, this.#scope, { timeout: longestMs }) ?? undefined;
    } catch {
      this.#patterns = this.#patterns.filter((one) => one.pattern !== pattern);
      this.#slow(tag);
      return undefined;
    }
  }
}

function without(text: string, ranges: readonly Range[]): string {
  let rest = "";
  let at = 0;
  for (const [start, end] of ranges.toSorted(([left], [right]) => left - right)) {
    rest += text.slice(at, Math.max(at, start));
    at = Math.max(at, end);
  }
  return rest + text.slice(at);
}

/** Labels that are somebody else's get a name as Prometheus gives it. */
function labelOf(tag: string): string {
  const label = tag.replace(/[^A-Za-z0-9_]/g, "_");
  return label === "plugin" || label === "le" || label.startsWith("__") ? `exported_${label}` : label;
}

import vm, { type Context, createContext, type Script } from "node:vm";

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
/** Fuel for the search for the tags of the configuration, and for each of them, also by the characters of the name. */
const searchCost = 300_000;
const tagCost = 2_000;
const characterCost = 20;
/** The search of a name is ended after so long. */
const longestMs = 25;
/** What a tag may take of the processor, for all names of a plugin; names that are done sooner than `quickMs` do not count. */
const allowanceMs = 40;
const quickMs = 1;
/** Times that a tag is looked for in a name when the search is ended because the machine was busy with something else. */
const mostTries = 3;

interface Pattern {
  readonly tag: string;
  readonly pattern: RegExp;
  /** Of `allowanceMs`. */
  spentMs: number;
}

/** One name, as far as it was searched. */
interface Search {
  name: string;
  /** The pattern that is looked for. */
  at: number;
  readonly found: { readonly tag: string; readonly match: RegExpExecArray }[];
  /** Which pattern took longest, and how long. */
  slowest: Pattern | undefined;
  slowestMs: number;
}

/**
 * Takes labels out of names. The names come from a guest, and a regular expression can be slow on a name made for it: one
 * that takes too long is left out from then on, as `slow` is told. What counts is the time of the processor: on a busy machine
 * a quick search may last long.
 */
export class MetricTagger {
  readonly #slow: (tag: string) => void;
  readonly #processorMs: () => number;
  readonly #search: Search = { name: "", at: 0, found: [], slowest: undefined, slowestMs: 0 };
  #patterns: Pattern[];
  #scope: Context | undefined;
  #script: Script | undefined;

  constructor(tags: readonly MetricTag[], slow: (tag: string) => void, processorMs: () => number = threadMs) {
    this.#slow = slow;
    this.#processorMs = processorMs;
    this.#patterns = tags.map(({ tag, regex }) => ({ tag, pattern: new RegExp(regex, "d"), spentMs: 0 }));
  }

  /** Fuel that `of` is worth for the name. */
  costOf(name: string): number {
    const tags = this.#patterns.length;
    return tags === 0 ? 0 : searchCost + tags * (tagCost + name.length * characterCost);
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
    for (const { tag, match } of this.#matches(full)) take(tag, match[2] ?? match[1], match.indices?.[1]);
    for (const found of full.matchAll(istioTag)) take(found[1] ?? "", found[2], found.indices?.[0]);
    const rest = without(full, [...taken, [0, full.length - name.length]]);
    return { name: rest === "" ? name : rest, labels: Object.fromEntries([...labels].sort()) };
  }

  /** One watchdog, which is a thread, for all tags of a name: it takes longer than they do. */
  #matches(name: string): Search["found"] {
    const search = this.#search;
    Object.assign(search, { name, at: 0 });
    search.found.length = 0;
    let tries = 0;
    while (search.at < this.#patterns.length) {
      const { at } = search;
      const patterns = this.#patterns;
      Object.assign(search, { slowest: undefined, slowestMs: 0 });
      const before = this.#processorMs();
      const isDone = this.#run();
      this.#charge(isDone ? search.slowest : patterns[search.at], this.#processorMs() - before);
      if (isDone) break;
      tries = search.at === at ? tries + 1 : 1;
      const isLeftOut = this.#patterns !== patterns;
      if (!isLeftOut && tries < mostTries) continue;
      if (!isLeftOut) search.at += 1;
      tries = 0;
    }
    return search.found;
  }

  /** False when it was ended. */
  #run(): boolean {
    this.#scope ??= createContext({ run: () => this.#lookForAll() });
    try {
      this.#script ??= new vm.Script("run()");
      this.#script.runInContext(this.#scope, { timeout: longestMs });
      return true;
    } catch (error) {
      // An error of another realm, which is no instance of this one's.
      if (typeof error !== "object" || error === null || !("code" in error)) throw error;
      if (error.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
      return false;
    }
  }

  #lookForAll(): void {
    const search = this.#search;
    const patterns = this.#patterns;
    for (; search.at < patterns.length; search.at += 1) {
      const one = patterns[search.at];
      if (one === undefined) return;
      const begun = performance.now();
      const match = one.pattern.exec(search.name);
      if (match !== null) search.found.push({ tag: one.tag, match });
      const took = performance.now() - begun;
      if (took <= search.slowestMs) continue;
      search.slowestMs = took;
      search.slowest = one;
    }
  }

  /** Where the tag that is looked for is left out, the next one is in its place. */
  #charge(slowest: Pattern | undefined, spentMs: number): void {
    if (slowest === undefined || spentMs < quickMs) return;
    slowest.spentMs += spentMs;
    if (slowest.spentMs < allowanceMs) return;
    this.#patterns = this.#patterns.filter((one) => one !== slowest);
    this.#slow(slowest.tag);
  }
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
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

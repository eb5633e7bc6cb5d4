import { RE2JS } from "@bufbuild/re2";
import type { Meter } from "../meter.ts";
import { patternSize } from "./pattern-size.ts";

/** Characters of a regular expression, and instructions that it may become. */
const longestPattern = 1_024;
const mostInstructions = 5_000;
/** Those that stay compiled, and states of the machine of each that may stay with it. */
const maxCompiled = 64;
const mostStates = 1_000;
/** Fuel for compiling: for a pattern, for each character of it, for each instruction of it, and for each class of Unicode that it names. */
const compileCost = 20_000;
const readCost = 50;
const instructionCost = 2_000;
const unicodeCost = 100_000;
/** Fuel for matching: for each character of the text, and for its search by what must be in it. */
const characterCost = 30;
/** Fuel for each step that the machine has not done before, for each instruction that there is, and for each that it follows. */
const stateCost = 30_000;
const triedCost = 20;
const lookCost = 150;
/** Fuel for each instruction that is looked at again for its anchors, which is done for every character. */
const resolveCost = 40;

interface Pattern {
  test(text: string): boolean;
}

/**
 * The regular expressions of a guest, compiled once. Either side may come from a client, so the guest pays for compiling one
 * before it is done, and for each step of matching.
 */
export class Patterns {
  readonly #meter: Meter;
  readonly #compiled = new Map<string, Pattern>();

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  /** Throws when it is none, or too large. */
  compile(pattern: string): Pattern {
    const known = this.#compiled.get(pattern);
    if (known !== undefined) return known;
    this.#meter.work(compileCost + Math.min(pattern.length, longestPattern) * readCost);
    if (pattern.length > longestPattern)
      throw new RangeError(`a regular expression has up to ${longestPattern} characters, this one ${pattern.length}`);
    const { instructions, unicodeClasses } = patternSize(pattern);
    if (instructions > mostInstructions)
      throw new RangeError(`a regular expression becomes up to ${mostInstructions} instructions, this one more`);
    this.#meter.work(instructions * instructionCost + unicodeClasses * unicodeCost);
    const made = this.#metered(pattern, RE2JS.compile(pattern));
    const oldest = this.#compiled.keys().next();
    if (this.#compiled.size >= maxCompiled && oldest.done !== true) this.#compiled.delete(oldest.value);
    this.#compiled.set(pattern, made);
    return made;
  }

  /** The library's machine makes states as a text needs them, which is where its time goes. */
  #metered(pattern: string, compiled: RE2JS): Pattern {
    const meter = this.#meter;
    const { dfa, prog } = compiled.re2();
    const instructions = prog.numInst();
    const getState = dfa.getState.bind(dfa);
    dfa.getState = (from) => {
      meter.work(stateCost + instructions * triedCost + from.length * lookCost);
      const state = getState(from);
      meter.work((state?.nfaStates.length ?? instructions) * lookCost);
      return state;
    };
    const resolve = dfa.resolveEmptyWidth.bind(dfa);
    dfa.resolveEmptyWidth = (state, context) => {
      meter.work(state.length * resolveCost);
      const resolved = resolve(state, context);
      meter.work(resolved.resolvedPCs.size * resolveCost);
      return resolved;
    };
    // Where the states are too many, the library goes over to a search whose time is the square of the pattern's length.
    compiled.re2()._nfaFallback = () => {
      throw new RangeError("the regular expression needs too many states for this text");
    };
    return {
      test: (text) => {
        meter.work(text.length * (characterCost + instructions));
        const found = compiled.test(text);
        if (dfa.stateCount > mostStates) this.#compiled.delete(pattern);
        return found;
      },
    };
  }
}

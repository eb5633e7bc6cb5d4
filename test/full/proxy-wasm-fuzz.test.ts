import { describe, it } from "node:test";
import { fuzzHostcalls, fuzzModules, fuzzPairs } from "../conformance/proxy-wasm/fuzz.ts";

describe("guests at random, for longer", () => {
  for (let seed = 100; seed < 110; seed += 1) {
    it(`get statuses for hostcalls, or die (seed ${seed})`, () => fuzzHostcalls(seed, 500));
    it(`whose module is spoiled are refused, or run like any other (seed ${seed})`, () => fuzzModules(seed, 1_000));
    it(`have pairs that are read as they were written, or not at all (seed ${seed})`, () => fuzzPairs(seed, 50_000));
  }
});

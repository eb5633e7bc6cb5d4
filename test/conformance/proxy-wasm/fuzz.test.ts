import { describe, it } from "node:test";
import { fuzzHostcalls, fuzzModules, fuzzPairs } from "./fuzz.ts";

describe("guests at random", () => {
  for (const seed of [1, 2]) it(`get statuses for hostcalls, or die (seed ${seed})`, () => fuzzHostcalls(seed, 100));
  it("whose module is spoiled are refused, or run like any other", () => fuzzModules(1, 200));
  it("have pairs that are read as they were written, or not at all", () => fuzzPairs(1, 5_000));
});

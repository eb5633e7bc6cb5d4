import { describe, it } from "node:test";
import { fuzzClient, fuzzServer } from "../conformance/http2/fuzz.ts";

describe("frames spoiled for longer", () => {
  for (let seed = 100; seed < 105; seed += 1) {
    it(`leave the server as it was (seed ${seed})`, () => fuzzServer(seed, 5_000));
    it(`leave the client as it was (seed ${seed})`, () => fuzzClient(seed, 1_000));
  }
});

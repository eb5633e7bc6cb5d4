import { describe, it } from "node:test";
import { fuzzClient, fuzzServer } from "./fuzz.ts";

describe("spoiled frames", () => {
  for (const seed of [1, 2, 3]) it(`leave the server as it was (seed ${seed})`, () => fuzzServer(seed, 500));
  for (const seed of [1, 2]) it(`leave the client as it was (seed ${seed})`, () => fuzzClient(seed, 250));
});

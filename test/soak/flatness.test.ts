import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { flatness } from "./flatness.ts";

const megabyte = 1024 ** 2;
const samples = (megabytesAt: (seconds: number) => number) =>
  Array.from({ length: 200 }, (_, index) => ({ seconds: index * 3, bytes: megabytesAt(index * 3) * megabyte }));

describe("flatness", () => {
  it("is there when memory grows only while the sidecar warms up", () => {
    const { isFlat, medianMb } = flatness(samples((seconds) => Math.min(120, 60 + seconds)));
    assert.equal(isFlat, true);
    assert.equal(Math.round(medianMb), 120);
  });

  it("is there when memory swings with the collection of garbage", () => {
    assert.equal(flatness(samples((seconds) => 120 + ((seconds * 7) % 40))).isFlat, true);
  });

  it("is missing when a little leaks all the time", () => {
    const { isFlat, grownMb } = flatness(samples((seconds) => 120 + seconds / 30 + ((seconds * 7) % 40)));
    assert.equal(isFlat, false);
    assert.ok(grownMb > 10 && grownMb < 18, `${grownMb} MB`);
  });
});

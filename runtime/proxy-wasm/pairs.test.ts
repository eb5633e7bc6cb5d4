import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodePairs, pairsSize, readPairs } from "./pairs.ts";

const read = (...bytes: number[]) => readPairs(Buffer.from(bytes), 0, bytes.length);

describe("pairs", () => {
  it("are the count, the lengths, and every name and value with a NUL", () => {
    const bytes = encodePairs([
      ["a", "1"],
      ["bc", ""],
    ]);
    const lengths = [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    assert.deepEqual([...bytes], [2, 0, 0, 0, ...lengths, ...Buffer.from("a\x001\0bc\0\0")]);
    assert.deepEqual(readPairs(Buffer.from(bytes), 0, bytes.length), [
      ["a", "1"],
      ["bc", ""],
    ]);
  });

  it("keep every byte, and NULs inside of values", () => {
    const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("");
    const bytes = Buffer.concat([Buffer.from([9, 9]), encodePairs([["x", all]]), Buffer.from([9])]);
    assert.deepEqual(readPairs(bytes, 2, bytes.length - 3), [["x", all]]);
  });

  it("are empty in three ways", () => {
    assert.equal(pairsSize([]), 0);
    assert.deepEqual(read(), []);
    assert.deepEqual(read(0), []);
    assert.deepEqual(read(0, 0, 0, 0), []);
  });

  it("are refused when they are malformed or too many", () => {
    const good = encodePairs([["k", "v"]]);
    assert.equal(read(1), undefined);
    assert.equal(read(1, 0, 0, 0), undefined, "lengths are missing");
    assert.equal(read(...good, 0), undefined, "bytes are left over");
    assert.equal(read(...good.subarray(0, -1)), undefined, "the last NUL is missing");
    assert.equal(read(...good.subarray(0, -1), 1), undefined, "the last byte is no NUL");
    assert.equal(read(0xff, 0xff, 0xff, 0xff), undefined, "the count is beyond the bytes");
    assert.equal(read(1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0), undefined);
    const many = encodePairs(Array.from({ length: 1025 }, () => ["", ""] as const));
    assert.equal(read(...many), undefined);
    const large = Buffer.from(encodePairs([["k", "v".repeat(1 << 20)]]));
    assert.equal(readPairs(large, 0, large.length), undefined);
  });
});

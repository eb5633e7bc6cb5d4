import assert from "node:assert/strict";
import { test } from "node:test";
import { SectionMemo } from "./section-memo.ts";

test("equal sections become one block, as long as not too many others came since and they are not too long", () => {
  const memo = new SectionMemo();
  const first = memo.block([":status", "200", "a", "1"]);
  assert.equal(memo.block([":status", "200", "a", "1"]), first);
  assert.notEqual(memo.block([":status", "200", "a", "2"]), first);
  assert.notEqual(memo.block([":status", "200"]), first);
  for (let at = 0; at < 20; at += 1) assert.deepEqual(memo.block(["n", String(at)]).flat, ["n", String(at)]);
  assert.notEqual(memo.block([":status", "200", "a", "1"]), first);
  const long = ["x", "y".repeat(5000)];
  assert.notEqual(memo.block(long), memo.block(long));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { SectionMemo } from "./section-memo.ts";

test("equal sections become one block, as long as not too many others came since and they are not too long", () => {
  const memo = new SectionMemo();
  const first = memo.block([":status", "200", "a", "1"], undefined);
  assert.equal(memo.block([":status", "200", "a", "1"], undefined), first);
  assert.notEqual(memo.block([":status", "200", "a", "2"], undefined), first);
  assert.notEqual(memo.block([":status", "200"], undefined), first);
  for (let at = 0; at < 20; at += 1) assert.deepEqual(memo.block(["n", String(at)], undefined).flat, ["n", String(at)]);
  assert.notEqual(memo.block([":status", "200", "a", "1"], undefined), first);
  assert.deepEqual(memo.block(["n", "1"], ["n"]).sensitive, ["n"]);
  const long = ["x", "y".repeat(5000)];
  assert.notEqual(memo.block(long, undefined), memo.block(long, undefined));
});

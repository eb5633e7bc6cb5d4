import assert from "node:assert/strict";
import { test } from "node:test";
import { cursorAt, keyOfBytes, pageStart } from "./key-cursor.ts";

const start = (prefix: string, cursor?: string): string =>
  pageStart("orders", { prefix, cursor, limit: 10 }).toString();

test("a page begins with the prefix, or right after the key of the cursor", () => {
  assert.equal(start("a"), "a");
  assert.equal(start("", cursorAt(Buffer.from("ключ"))), "ключ\0");
  assert.equal(start("a", cursorAt(Buffer.from("a"))), "a\0");
  assert.equal(start("a", cursorAt(Buffer.from("ab"))), "ab\0");
});

test("a cursor that leads out of the prefix, or is none, is refused", () => {
  for (const cursor of [cursorAt(Buffer.from("b")), cursorAt(Buffer.from("")), "no cursor!", "YQ==", "YR"]) {
    assert.throws(() => start("a", cursor), {
      code: "INVALID_ARGUMENT",
      reason: "CURSOR_UNKNOWN",
      message: /'orders'/,
    });
  }
});

test("bytes that are no UTF-8 are no key", () => {
  assert.equal(keyOfBytes(Buffer.from("ключ")), "ключ");
  assert.equal(keyOfBytes(Buffer.from("\uFFFD")), "\uFFFD");
  assert.equal(keyOfBytes(Buffer.of(0x61, 0xff)), undefined);
});

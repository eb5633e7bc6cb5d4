import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, contentOf, json, text, Value } from "./value.ts";

const written = (value: Parameters<typeof contentOf>[0]): [string, string] => {
  const content = contentOf(value);
  return [Buffer.from(content.bytes).toString("latin1"), content.contentType];
};

test("a string is text, bytes are bytes, and JSON is only what says so", () => {
  assert.deepEqual(written('{"a":1}'), ['{"a":1}', "text/plain; charset=utf-8"]);
  assert.deepEqual(written(text("a")), ["a", "text/plain; charset=utf-8"]);
  assert.deepEqual(written(new Uint8Array([0, 255])), ["\0\xff", "application/octet-stream"]);
  assert.deepEqual(written(bytes(Buffer.from("a"))), ["a", "application/octet-stream"]);
  assert.deepEqual(written(json("a")), ['"a"', "application/json"]);
  assert.deepEqual(written(json({ a: [1, null] })), ['{"a":[1,null]}', "application/json"]);
});

test("what JSON cannot hold is refused", () => {
  assert.throws(() => json(undefined), TypeError);
  assert.throws(() => json(() => 1), TypeError);
});

test("a value is read as what the caller says it is", () => {
  const value = new Value(new TextEncoder().encode('{"n":7}'));
  assert.equal(value.text(), '{"n":7}');
  assert.deepEqual(value.json(), { n: 7 });
  assert.equal(
    value.json((read) => Object.keys(Object(read)).length),
    1,
  );
  assert.equal(value.bytes().length, 7);
});

test("bytes that are no text are not read as text", () => {
  assert.throws(() => new Value(new Uint8Array([0xff])).text(), TypeError);
  assert.throws(() => new Value(new Uint8Array()).json(), SyntaxError);
});

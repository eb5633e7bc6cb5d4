import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Utf8Encoder } from "./text-encoder.ts";

const [ours, theirs] = [new Utf8Encoder(), new TextEncoder()];

describe("the encoder of text", () => {
  it("gives the bytes that Node's gives, for every kind of character", () => {
    const pieces = [
      "",
      "a",
      "\0",
      "\x7f",
      "\x80",
      "ä",
      "\u07ff",
      "\u0800",
      "€",
      "\uffff",
      "😀",
      "\u{10ffff}",
      "\ud800",
      "\udfff",
    ];
    for (const first of pieces)
      for (const second of pieces) {
        const text = `${first}${second}x`;
        assert.deepEqual(ours.encode(text), theirs.encode(text), JSON.stringify(text));
      }
    assert.deepEqual(ours.encode(), theirs.encode());
    assert.equal(ours.encoding, theirs.encoding);
  });

  it("gives what Node's gives for every character", () => {
    let text = "";
    for (let code = 0; code <= 0x10ffff; code += 97) text += String.fromCodePoint(code);
    assert.deepEqual(ours.encode(text), theirs.encode(text));
  });

  it("writes whole characters into the room that there is", () => {
    for (let room = 0; room < 12; room++) {
      const [mine, other] = [new Uint8Array(room), new Uint8Array(room)];
      assert.deepEqual(ours.encodeInto("aä€😀\ud800z", mine), theirs.encodeInto("aä€😀\ud800z", other));
      assert.deepEqual(mine, other);
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { booleanField, bytesField, readMessage, textField, writeMessage } from "./protobuf.ts";

describe("a message of protobuf", () => {
  it("is read as it was written", () => {
    const long = "x".repeat(300);
    const fields = readMessage(
      writeMessage([
        [1, "é"],
        [2, Uint8Array.of(1, 2)],
        [3, true],
        [4, false],
        [5, ""],
        [6, long],
      ]),
    );
    assert.ok(fields !== undefined);
    assert.deepEqual(
      fields.map(({ number }) => number),
      [1, 2, 3, 6],
    );
    assert.equal(textField(fields, 1), "é");
    assert.deepEqual([...bytesField(fields, 2)], [1, 2]);
    assert.deepEqual([booleanField(fields, 3), booleanField(fields, 4)], [true, false]);
    assert.equal(textField(fields, 6), long);
    assert.equal(bytesField(fields, 9).length, 0);
  });

  it("has the last of values that come twice, and leaves out what has a fixed length", () => {
    const fields = readMessage(
      Uint8Array.of(0x0a, 1, 0x61, 0x15, 0, 0, 0, 0, 0x19, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 1, 0x62),
    );
    assert.equal(textField(fields ?? [], 1), "b");
    assert.equal(fields?.length, 2);
  });

  it("is none when it is cut off, or of another kind", () => {
    const broken = [[0x0a], [0x0a, 5, 1], [0x08], [0x08, 0x80], [0x0b], [0x00], [0x15, 0], [0xff, 0xff, 0xff, 0xff]];
    for (const bytes of broken) assert.equal(readMessage(Uint8Array.from(bytes)), undefined, bytes.join(" "));
    assert.deepEqual(readMessage(new Uint8Array(0)), []);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MessageReader } from "./message-reader.ts";

interface Read {
  readonly flag: number;
  readonly text: string;
  readonly chunk: Buffer;
}

/** Reads the chunks with a limit of 100,000 bytes and tells the messages. */
function readerOf(limit = 100_000) {
  const messages: Read[] = [];
  const reader = new MessageReader(limit, {
    message(flag, bytes, start, end) {
      messages.push({ flag, text: bytes.toString("latin1", start, end), chunk: bytes });
      return true;
    },
  });
  return { reader, messages, push: (chunk: Buffer) => reader.push(chunk, 0, chunk.length) };
}

function framed(text: string, flag = 0): Buffer {
  const prefix = Buffer.from([flag, 0, 0, 0, 0]);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, Buffer.from(text, "latin1")]);
}

describe("the reader of messages", () => {
  it("gives messages that lie whole in a chunk where they lie", () => {
    const { reader, messages, push } = readerOf();
    const chunk = Buffer.concat([framed("one"), framed(""), framed("three", 1)]);
    push(chunk);
    assert.deepEqual(
      messages.map(({ flag, text }) => [flag, text]),
      [
        [0, "one"],
        [0, ""],
        [1, "three"],
      ],
    );
    assert.ok(messages.every((message) => message.chunk === chunk));
    assert.equal(reader.isAmid, false);
  });

  it("puts together what comes in pieces, wherever they are cut", () => {
    const large = "x".repeat(90_000);
    const whole = Buffer.concat([framed("first"), framed(large), framed(""), framed("last", 1)]);
    for (const size of [1, 2, 3, 4, 5, 6, 7, 1000, 65_536, 80_000]) {
      const { reader, messages, push } = readerOf();
      for (let at = 0; at < whole.length; at += size) push(whole.subarray(at, at + size));
      assert.deepEqual(
        messages.map(({ text }) => text),
        ["first", large, "", "last"],
      );
      assert.equal(reader.isAmid, false);
    }
  });

  it("knows that it is amid a message", () => {
    for (const piece of [[0], [0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 2, 1]]) {
      const { reader, push } = readerOf();
      push(Buffer.from(piece));
      assert.equal(reader.isAmid, true);
    }
  });

  it("refuses a message by its length before it comes, and a flag that does not exist", () => {
    const tooLarge = { code: "RESOURCE_EXHAUSTED", reason: "MESSAGE_TOO_LARGE" };
    assert.throws(() => readerOf(4).push(framed("12345")), tooLarge);
    const { push } = readerOf(4);
    push(Buffer.from([0, 0xff, 0xff]));
    assert.throws(() => push(Buffer.from([0xff, 0xff])), tooLarge);
    assert.throws(() => readerOf().push(framed("", 2)), { code: "INTERNAL" });
    readerOf(5).push(framed("12345"));
  });

  it("sets nothing aside for what is only announced", () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 50 }, () => readerOf(2 ** 30));
    for (const { push } of readers) push(Buffer.from([0, 0x3f, 0xff, 0xff, 0xff, 1]));
    assert.ok(process.memoryUsage().arrayBuffers - before < 50 * 128 * 1024);
  });

  it("reads no further for a sink that has enough", () => {
    let count = 0;
    const reader = new MessageReader(100, {
      message() {
        count += 1;
        return false;
      },
    });
    const chunk = Buffer.concat([framed("a"), framed("b")]);
    reader.push(chunk, 0, chunk.length);
    assert.equal(count, 1);
  });
});

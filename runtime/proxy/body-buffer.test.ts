import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bodyCapBytes, ChunkedBody } from "./body-buffer.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const textOf = (body: ChunkedBody) => Buffer.from(body.read(0, body.length)).toString();

function bodyOf(...chunks: string[]): ChunkedBody {
  const body = new ChunkedBody();
  for (const chunk of chunks) body.append(bytes(chunk));
  return body;
}

describe("a body in chunks", () => {
  it("reads ranges, clamped", () => {
    const body = bodyOf("hello ", "world");
    const reads: [number, number][] = [
      [0, 5],
      [6, 5],
      [4, 4],
      [0, 99],
      [20, 1],
      [3, 0],
      [-2, 2],
    ];
    const texts = reads.map(([start, length]) => Buffer.from(body.read(start, length)).toString());
    assert.deepEqual(texts, ["hello", "world", "o wo", "hello world", "", "", "he"]);
  });

  it("does not copy what lies within a chunk, nor what passes through", () => {
    const chunk = bytes("hello");
    const body = new ChunkedBody();
    body.append(chunk);
    assert.equal(body.read(1, 3).buffer, chunk.buffer);
    assert.equal(body.take()[0], chunk);
    assert.equal(body.length, 0);
  });

  it("is joined when what is read lies behind many chunks, and only then", () => {
    const letters = Array.from({ length: 4_000 }, (_, index) => String.fromCharCode(97 + (index % 26)));
    const body = bodyOf(...letters);
    assert.equal(body.read(10, 1).length, 1);
    assert.equal(body.read(0, 1).buffer.byteLength, bytes("a").buffer.byteLength);
    const read = [3_999, 2_000, 16].map((start) => body.read(start, 1));
    assert.deepEqual(
      read.map((one) => Buffer.from(one).toString()),
      [letters[3_999], letters[2_000], letters[16]],
    );
    assert.equal(new Set(read.map(({ buffer }) => buffer)).size, 1);
    body.append(bytes("!"));
    assert.equal(body.read(4_000, 1)[0], 33);
    assert.equal(body.take().length, 2);
  });

  it("stays in its chunks while the first of them are read", () => {
    const body = bodyOf(..."abcdefghijklmnopqrstuvwxyz");
    assert.equal(Buffer.from(body.read(15, 1)).toString(), "p");
    assert.equal(body.take().length, 26);
  });

  it("is spliced anywhere like an array of bytes", () => {
    for (const [start, count, insert] of [
      [0, 0, "X"],
      [11, 0, "X"],
      [99, 5, "X"],
      [0, 11, "X"],
      [0, 99, ""],
      [4, 3, "XYZ"],
      [6, 5, ""],
      [0, 6, "A"],
      [3, 0, "mid"],
    ] as const) {
      const body = bodyOf("hello ", "world");
      const expected = [..."hello world"];
      expected.splice(start, count, insert);
      body.splice(start, count, bytes(insert));
      assert.equal(textOf(body), expected.join(""), `${start} ${count} ${insert}`);
      assert.equal(body.length, expected.join("").length);
      assert.equal(body.changed, true);
    }
  });

  it("copies what is spliced in, and never writes to a chunk it was given", () => {
    const chunk = bytes("hello");
    const body = new ChunkedBody();
    body.append(chunk);
    const inserted = bytes("J");
    body.splice(0, 1, inserted);
    inserted.fill(0);
    assert.equal(textOf(body), "Jello");
    assert.equal(Buffer.from(chunk).toString(), "hello");
  });

  it("goes on as it is after a splice", () => {
    const body = bodyOf("ab");
    body.splice(1, 0, bytes("-"));
    body.append(bytes("c"));
    const rest = bodyOf("d", "e");
    body.appendAll(rest);
    assert.deepEqual([textOf(body), rest.length, body.length], ["a-bcde", 0, 6]);
  });

  it("does not grow without bound by what a guest splices in", () => {
    const body = bodyOf("x");
    assert.throws(() => body.splice(0, 0, new Uint8Array(bodyCapBytes)), RangeError);
    assert.equal(textOf(body), "x");
  });
});

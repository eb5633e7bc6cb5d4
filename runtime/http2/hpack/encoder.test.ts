import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderBlock } from "../header-block.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";

const decoderOf = (): HpackDecoder =>
  new HpackDecoder({ maxTableBytes: 4096, maxHeaderListBytes: 2 ** 20, maxHeaderFields: 4096 });
const decode = (decoder: HpackDecoder, bytes: Buffer): HeaderBlock | undefined =>
  decoder.decode(bytes, 0, bytes.length);

/** Numbers below `most`, the same in each run. */
function numbers(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % most;
  };
}

const someNames = [
  ":path",
  ":authority",
  "content-type",
  "cookie",
  "authorization",
  "x-request-id",
  "grpc-status",
  "a",
];

function randomText(random: (most: number) => number, most: number): string {
  const kind = random(3);
  const octet = (): number => (kind === 0 ? 97 + random(26) : kind === 1 ? 33 + random(94) : random(256));
  return String.fromCharCode(...Array.from({ length: random(most) }, octet));
}

function randomBlock(random: (most: number) => number, values: readonly string[]): HeaderBlock {
  const flat: string[] = [];
  for (let count = 1 + random(12); count > 0; count -= 1) {
    const name = random(4) > 0 ? (someNames[random(someNames.length)] ?? "a") : `x-${randomText(random, 200)}`;
    flat.push(name, random(3) > 0 ? (values[random(values.length)] ?? "") : randomText(random, 600));
  }
  return new HeaderBlock(flat, random(5) === 0 ? [flat[0] ?? ""] : undefined);
}

describe("the encoder of field sections", () => {
  it("is understood by the decoder, whatever the fields, while the size of the table changes", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = numbers(seed);
      const encoder = new HpackEncoder();
      const decoder = decoderOf();
      const values = Array.from({ length: 30 }, () => randomText(random, 60));
      const blocks = Array.from({ length: 40 }, () => randomBlock(random, values));
      for (let round = 0; round < 200; round += 1) {
        if (random(20) === 0) encoder.setMaxTableBytes(random(2) === 0 ? random(5000) : 4096);
        if (random(60) === 0) encoder.setMaxTableBytes(0);
        const block = random(5) === 0 ? randomBlock(random, values) : (blocks[random(blocks.length)] ?? blocks[0]);
        assert.ok(block !== undefined);
        assert.deepEqual(decode(decoder, encoder.encode(block))?.flat, block.flat);
      }
    }
  });

  it("keeps connections apart that send the same block", () => {
    const block = HeaderBlock.of(":status", "200", "content-type", "application/grpc", "x-own", "value");
    const pairs = Array.from({ length: 3 }, () => ({ encoder: new HpackEncoder(), decoder: decoderOf() }));
    const other = HeaderBlock.of("x-other", "other");
    for (let round = 0; round < 30; round += 1) {
      const { encoder, decoder } = pairs[round % 3] ?? { encoder: new HpackEncoder(), decoder: decoderOf() };
      if (round % 4 === 0) assert.deepEqual(decode(decoder, encoder.encode(other))?.flat, other.flat);
      assert.deepEqual(decode(decoder, encoder.encode(block))?.flat, block.flat);
    }
  });

  it("takes a few octets for what comes again and again", () => {
    const encoder = new HpackEncoder();
    const fields = [":status", "200", "content-type", "application/grpc", "x-custom", "the same each time"];
    for (let count = 0; count < 3; count += 1) encoder.encode(HeaderBlock.of(...fields));
    assert.equal(encoder.encode(HeaderBlock.of(...fields)).length, 3);
    const block = HeaderBlock.of(...fields);
    for (let count = 0; count < 3; count += 1) assert.equal(encoder.encode(block).length, 3);
  });

  it("never indexes what is secret, nor what came never indexed", () => {
    const encoder = new HpackEncoder();
    const fields = ["authorization", "Bearer abc", "x-key", "secret", "cookie", "a=b", "x-open", "value"];
    const decoder = decoderOf();
    for (let count = 0; count < 4; count += 1) {
      const read = decode(decoder, encoder.encode(new HeaderBlock(fields, ["x-key"])));
      assert.deepEqual(read?.sensitive, ["authorization", "x-key", "cookie"]);
      // What a proxy forwards is the block that it read.
      assert.ok(read !== undefined);
      assert.deepEqual(decode(decoderOf(), new HpackEncoder().encode(read))?.sensitive, read.sensitive);
    }
  });

  it("says before the next section how small the table became and how large it is (RFC 7541, section 4.2)", () => {
    const encoder = new HpackEncoder();
    const block = HeaderBlock.of(":method", "GET");
    encoder.setMaxTableBytes(100);
    encoder.setMaxTableBytes(200);
    assert.equal(encoder.encode(block).toString("hex"), "3f453fa90182");
    assert.equal(encoder.encode(block).toString("hex"), "82");
    encoder.setMaxTableBytes(1_000_000);
    assert.equal(encoder.encode(block).toString("hex"), "3fe11f82");
    encoder.setMaxTableBytes(0);
    assert.equal(encoder.encode(block).toString("hex"), "2082");
    assert.equal(encoder.encode(block).toString("hex"), "82");
  });

  it("refuses characters that are no octets, and stays in step", () => {
    const encoder = new HpackEncoder();
    const decoder = decoderOf();
    const good = HeaderBlock.of("x-a", "1", "x-b", "2");
    for (let count = 0; count < 3; count += 1) decode(decoder, encoder.encode(good));
    for (let count = 0; count < 3; count += 1) {
      assert.throws(() => encoder.encode(HeaderBlock.of("x-new", "1", "x-new", "1", "x-wide", "\u20ac")), RangeError);
      assert.deepEqual(decode(decoder, encoder.encode(good))?.flat, good.flat);
    }
  });

  it("forgets nothing it needs when a peer makes it learn thousands of names", () => {
    const encoder = new HpackEncoder();
    const decoder = decoderOf();
    for (let count = 0; count < 3000; count += 1) {
      const block = HeaderBlock.of(`x-${count % 700}`, `v${count % 3}`, "x-kept", "yes");
      assert.deepEqual(decode(decoder, encoder.encode(block))?.flat, block.flat);
    }
  });
});

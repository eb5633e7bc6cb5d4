import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Utf8Decoder } from "./text-decoder.ts";

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
/** Well-formed text, and every way of being malformed that the standard tells apart. */
const samples = [
  "",
  "61 62 63",
  "c3 a4 e2 82 ac f0 9f 98 80",
  "ef bb bf 61",
  "61 ef bb bf",
  "ef bb bf ef bb bf",
  "80",
  "c0 80",
  "c1 bf",
  "c3",
  "c3 28",
  "e0 80 80",
  "e2 82",
  "e2 28 a1",
  "ed a0 80",
  "ed 9f bf",
  "f0 80 80 80",
  "f0 9f 98",
  "f0 9f 41",
  "f4 8f bf bf",
  "f4 90 80 80",
  "f5 80 80 80",
  "ff fe",
  "61 e2 82 f0 9f 98 80 c3",
].map(bytes);

describe("the decoder of text", () => {
  it("gives the text that Node's gives", () => {
    for (const ignoreBOM of [false, true])
      for (const sample of samples) {
        const text = new Utf8Decoder("utf-8", { ignoreBOM }).decode(sample);
        assert.equal(text, new TextDecoder("utf-8", { ignoreBOM }).decode(sample), Buffer.from(sample).toString("hex"));
      }
  });

  it("refuses what Node's refuses when it is told to", () => {
    for (const sample of samples) {
      const decode = (Decoder: typeof TextDecoder | typeof Utf8Decoder): string => {
        try {
          return new Decoder("utf-8", { fatal: true }).decode(sample);
        } catch (error) {
          return error instanceof TypeError ? "refused" : String(error);
        }
      };
      assert.equal(decode(Utf8Decoder), decode(TextDecoder), Buffer.from(sample).toString("hex"));
    }
  });

  it("gives the same text however the bytes are cut", () => {
    for (const sample of samples)
      for (let cut = 0; cut <= sample.length; cut++) {
        const decoder = new Utf8Decoder();
        const text = decoder.decode(sample.subarray(0, cut), { stream: true }) + decoder.decode(sample.subarray(cut));
        assert.equal(text, new TextDecoder().decode(sample), `${Buffer.from(sample).toString("hex")} ${cut}`);
      }
  });

  it("decodes long text, views and buffers, and is as new afterwards", () => {
    const text = "aä€😀".repeat(20_000);
    const encoded = new TextEncoder().encode(`x${text}`);
    const decoder = new Utf8Decoder();
    assert.equal(decoder.decode(encoded.subarray(1)), text);
    assert.equal(decoder.decode(encoded.buffer), `x${text}`);
    assert.equal(decoder.decode(new DataView(encoded.buffer, 1)), text);
    assert.equal(decoder.decode(bytes("ef bb bf 61")), "a");
    assert.equal(decoder.decode(), "");
  });

  it("knows UTF-8 by its names, and nothing else", () => {
    for (const label of ["utf8", " UTF-8 ", "unicode-1-1-utf-8"])
      assert.equal(new Utf8Decoder(label).encoding, "utf-8");
    assert.throws(() => new Utf8Decoder("latin1"), { name: "RangeError", message: /'latin1'.*utf-8/ });
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionError, errorCode } from "../error-code.ts";
import { HpackDecoder } from "./decoder.ts";

const limits = { maxTableBytes: 4096, maxHeaderListBytes: 65_536, maxHeaderFields: 256 };
const decoderOf = (changes: Partial<typeof limits> = {}): HpackDecoder => new HpackDecoder({ ...limits, ...changes });

function fieldsOf(decoder: HpackDecoder, hex: string): readonly string[] | undefined {
  // Behind other octets and before others, as within a chunk of the socket.
  const section = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const bytes = Buffer.concat([Buffer.alloc(3, 0xff), section, Buffer.alloc(2, 0xff)]);
  return decoder.decode(bytes, 3, 3 + section.length)?.flat;
}

/** Sections of one connection, in order: the octets, and the fields that they mean. */
type Example = readonly (readonly [hex: string, fields: readonly string[]])[];

const first = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
const second = [...first, "cache-control", "no-cache"];
const third = [
  ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"],
  ...["custom-key", "custom-value"],
];
const redirect = (status: string, date: string): string[] => [
  ...[":status", status, "cache-control", "private", "date", date, "location", "https://www.example.com"],
];
const date1 = "Mon, 21 Oct 2013 20:13:21 GMT";
const date2 = "Mon, 21 Oct 2013 20:13:22 GMT";
const setCookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const last = [
  ...[":status", "200", "cache-control", "private", "date", date2, "location", "https://www.example.com"],
  ...["content-encoding", "gzip", "set-cookie", setCookie],
];

const examples: Readonly<Record<string, { readonly table?: number; readonly sections: Example }>> = {
  "C.2.1 a literal with indexing": {
    sections: [["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key", "custom-header"]]],
  },
  "C.2.2 a literal without indexing": {
    sections: [["040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"]]],
  },
  "C.2.3 a literal never indexed": {
    sections: [["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret"]]],
  },
  "C.2.4 an indexed field": { sections: [["82", [":method", "GET"]]] },
  "C.3 requests without Huffman coding": {
    sections: [
      ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", first],
      ["8286 84be 5808 6e6f 2d63 6163 6865", second],
      ["8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", third],
    ],
  },
  "C.4 requests with Huffman coding": {
    sections: [
      ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", first],
      ["8286 84be 5886 a8eb 1064 9cbf", second],
      ["8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", third],
    ],
  },
  "C.5 responses without Huffman coding, which evict": {
    table: 256,
    sections: [
      [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        redirect("302", date1),
      ],
      ["4803 3330 37c1 c0bf", redirect("307", date1)],
      [
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        last,
      ],
    ],
  },
  "C.6 responses with Huffman coding, which evict": {
    table: 256,
    sections: [
      [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        redirect("302", date1),
      ],
      ["4883 640e ffc1 c0bf", redirect("307", date1)],
      [
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        last,
      ],
    ],
  },
};

describe("the decoder of field sections", () => {
  for (const [name, { table, sections }] of Object.entries(examples)) {
    it(`reads the example of RFC 7541, ${name}`, () => {
      const decoder = decoderOf(table === undefined ? {} : { maxTableBytes: table });
      for (const [hex, fields] of sections) assert.deepEqual(fieldsOf(decoder, hex), fields);
    });
  }

  it("says which fields were never indexed, so that they can be handed on so", () => {
    const section = Buffer.from(`82${"1008706173737764".padEnd(4, "0")}`, "hex");
    assert.throws(() => decoderOf().decode(section, 0, section.length), ConnectionError);
    const whole = Buffer.from("8210 0870 6173 7377 6f72 6406 7365 6372 6574 0001 6101 62".replaceAll(" ", ""), "hex");
    const block = decoderOf().decode(whole, 0, whole.length);
    assert.deepEqual(block?.flat, [":method", "GET", "password", "secret", "a", "b"]);
    assert.deepEqual(block?.sensitive, ["password"]);
  });

  it("gives the same block for equal sections, as long as the table is the same", () => {
    const decoder = decoderOf();
    const section = Buffer.from("828684", "hex");
    const decode = (bytes: Buffer): unknown => decoder.decode(bytes, 0, bytes.length);
    decode(section);
    decode(section);
    assert.equal(decode(section), decode(section));
  });

  it("never takes a section for one that was read with another table", () => {
    const decoder = decoderOf();
    const insert = (value: string): string => `4001 61 01 ${Buffer.from(value).toString("hex")}`;
    for (const value of ["1", "2", "3"]) {
      fieldsOf(decoder, insert(value));
      for (let again = 0; again < 4; again += 1) assert.deepEqual(fieldsOf(decoder, "be"), ["a", value]);
    }
    // Evicted by a size of 0 that lasts no longer than the section.
    for (let again = 0; again < 4; again += 1) assert.deepEqual(fieldsOf(decoder, "82"), [":method", "GET"]);
    fieldsOf(decoder, "203f e11f 82");
    assert.throws(() => fieldsOf(decoder, "be"), ConnectionError);
  });

  it("follows the size of the table though the section that changed it comes again", () => {
    const decoder = decoderOf();
    const small = "3f 09 82";
    const large = "3f e11f 82";
    for (let again = 0; again < 3; again += 1) for (const section of [small, large]) fieldsOf(decoder, section);
    fieldsOf(decoder, small);
    // 40 octets hold one field of 34 and not two.
    fieldsOf(decoder, "4001 6101 31");
    fieldsOf(decoder, "4001 6101 32");
    assert.deepEqual(fieldsOf(decoder, "be"), ["a", "2"]);
    assert.throws(() => fieldsOf(decoder, "bf"), ConnectionError);
  });

  it("is undefined for a section with more octets or fields than allowed, and keeps the table in step", () => {
    const decoder = decoderOf({ maxHeaderListBytes: 100, maxHeaderFields: 3 });
    const field = (name: string): string => `0001${Buffer.from(name).toString("hex")}0131`;
    assert.equal(fieldsOf(decoder, [field("a"), field("b"), `4001 63 01 33`].join("")), undefined);
    assert.deepEqual(fieldsOf(decoder, "be"), ["c", "3"]);
    assert.equal(fieldsOf(decoderOf({ maxHeaderFields: 3 }), field("a").repeat(4)), undefined);
    assert.equal(fieldsOf(decoderOf({ maxHeaderFields: 3 }), field("a").repeat(3))?.length, 6);
  });

  it("ends the connection, and nothing else, whatever octets come", () => {
    let state = 7;
    const random = (most: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (state >>> 8) % most;
    };
    const decoder = decoderOf();
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = Buffer.from(Array.from({ length: random(40) }, () => random(256)));
      try {
        decoder.decode(bytes, 0, bytes.length);
      } catch (error) {
        assert.ok(error instanceof ConnectionError, String(error));
        assert.equal(error.code, errorCode.COMPRESSION_ERROR);
      }
    }
  });
});

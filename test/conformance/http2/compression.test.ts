/** RFC 7541 as a peer sees it: each way to send a field is understood, each malformed one ends the connection. */
import { describe } from "node:test";
import { getFields, headers, integer, literals, plainText, settings } from "../../support/http2-frames.ts";
import { type Case, cases } from "./outcome.ts";

/** GET / over http by the static table. */
const indexed = Buffer.of(0x82, 0x86, 0x84);
const section = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);
/** "custom-key" and "custom-value" with Huffman coding (RFC 7541, appendix C.4.3). */
const packedKey = Buffer.from("8825a849e95ba97d7f", "hex");
const packedValue = Buffer.from("8925a849e95bb8e8b4bf", "hex");
const taken = (name: string, ...sections: readonly Buffer[]): Case => ({
  name,
  send: sections.map((one, at) => headers(2 * at + 1, one)),
  comes: { answered: 2 * sections.length - 1 },
});
const malformed = (name: string, ...sections: readonly Buffer[]): Case => ({
  name,
  send: sections.map((one, at) => headers(2 * at + 1, one)),
  comes: { goAway: "COMPRESSION_ERROR" },
});
const value = plainText("value");

describe("2.3.3 the address space", () => {
  cases([
    taken("begins with the static table", indexed),
    taken(
      "goes on with the dynamic table",
      section(indexed, Buffer.of(0x40), plainText("x-a"), value),
      section(indexed, Buffer.of(0xbe)),
    ),
    malformed("ends behind the dynamic table", section(indexed, Buffer.of(0xbe))),
    malformed("ends behind the dynamic table for names", section(indexed, Buffer.of(0x7e), value)),
    malformed("ends far from where integers do", section(indexed, integer(0x80, 0x7f, 2 ** 27))),
  ]);
});

describe("4.2 the size of the table", () => {
  const fill = section(indexed, Buffer.of(0x40), plainText("x-a"), value);
  const empty = Buffer.of(0x20);
  const whole = integer(0x20, 0x1f, 4096);
  cases([
    taken("changes at the beginning of a section", section(integer(0x20, 0x1f, 128), indexed)),
    taken("changes twice", section(empty, whole, indexed)),
    malformed("does not change at the end of a section", section(indexed, Buffer.of(0x21))),
    malformed(
      "does not change within a section",
      section(indexed.subarray(0, 1), Buffer.of(0x21), indexed.subarray(1)),
    ),
    malformed("is no larger than the settings say", section(integer(0x20, 0x1f, 4097), indexed)),
    malformed("of 0 empties it", fill, section(empty, indexed), section(indexed, Buffer.of(0xbe))),
    malformed(
      "of 0 and then more empties it",
      fill,
      section(indexed, Buffer.of(0xbe)),
      section(empty, whole, indexed),
      section(indexed, Buffer.of(0xbe)),
    ),
    malformed(
      "is emptied by a field that is larger than it",
      fill,
      section(indexed, Buffer.of(0xbe)),
      section(indexed, Buffer.of(0x40), plainText("x-b"), plainText("b".repeat(4096))),
      section(indexed, Buffer.of(0xbe)),
    ),
    {
      name: "that a server uses is no larger than the client's settings say",
      send: [settings([1, 0]), headers(1), headers(3), headers(5)],
      comes: { answered: 5 },
    },
  ]);
});

describe("5.1 integers", () => {
  cases([
    malformed(
      "are not larger than anything could be",
      section(indexed, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)),
    ),
    malformed("do not go on for ever", section(indexed, Buffer.of(0xff), Buffer.alloc(1000, 0x80), Buffer.of(0))),
    malformed("have an end", section(indexed, Buffer.of(0xff, 0x80))),
    malformed("of a length are within the section", section(indexed, Buffer.of(0x00, 0x7f, 0xff, 0xff, 0xff, 0x7f))),
    taken("may be longer than needed", section(indexed, Buffer.of(0x0f, 0x80, 0x80, 0x00), value)),
  ]);
});

describe("5.2 strings", () => {
  cases([
    taken("may be coded", section(indexed, Buffer.of(0x00), packedKey, packedValue)),
    malformed(
      "have no padding longer than 7 bits",
      section(indexed, Buffer.of(0x00), plainText("x-test"), Buffer.from("8625a849e95bff", "hex"), Buffer.of(0xff)),
    ),
    malformed(
      "have no padding of zeros",
      section(indexed, Buffer.of(0x00), plainText("x-test"), Buffer.from("8125", "hex").fill(0x00, 1)),
    ),
    malformed(
      "do not contain the end of string",
      section(indexed, Buffer.of(0x00), plainText("x-test"), Buffer.from("84ffffffff", "hex")),
    ),
    malformed(
      "do not contain the end of string among others",
      section(indexed, Buffer.of(0x00), plainText("x-test"), Buffer.from("8f25a849e95ba97d7f8925fffffffffd", "hex")),
    ),
    malformed("are not cut off", section(indexed, Buffer.of(0x00), plainText("x-test"), Buffer.of(0x05, 0x61))),
    malformed("are there", section(indexed, Buffer.of(0x00), plainText("x-test"))),
    taken("may be empty", section(indexed, Buffer.of(0x00), plainText("x-test"), Buffer.of(0x00))),
    taken("may be empty and coded", section(indexed, Buffer.of(0x00), plainText("x-test"), Buffer.of(0x80))),
  ]);
});

describe("6.1 to 6.3 the representations", () => {
  const named = (octet: number): Buffer => Buffer.of(octet);
  const patterns = [
    ["with indexing", 0x40, 0x3f],
    ["without indexing", 0x00, 0x0f],
    ["never indexed", 0x10, 0x0f],
  ] as const;
  cases([
    malformed("have no field 0", section(indexed, Buffer.of(0x80))),
    ...patterns.flatMap(([name, pattern, mask]) => [
      taken(`${name}, of a known name`, section(indexed, integer(pattern, mask, 58), value)),
      taken(`${name}, of a known name, coded`, section(indexed, integer(pattern, mask, 58), packedValue)),
      taken(`${name}, of a new name`, section(indexed, named(pattern), plainText("x-new"), value)),
      taken(`${name}, of a new name, coded`, section(indexed, named(pattern), packedKey, packedValue)),
      malformed(`${name}, of a name that is not in the tables`, section(indexed, integer(pattern, mask, 100), value)),
    ]),
    taken("are mixed", section(indexed, Buffer.of(0x40), packedKey, value, Buffer.of(0xbe), literals([["x-a", "1"]]))),
    taken("are all literals", literals(getFields)),
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeStatusMessage } from "./status-message.ts";

test("a status message travels as printable ASCII and means the same after decoding", () => {
  const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n100 %";
  const encoded = encodeStatusMessage(message);
  assert.match(encoded, /^[\x20-\x7e]*$/);
  assert.equal(decodeURIComponent(encoded), message);
  assert.ok(encoded.startsWith("%09%0Atest with whitespace%0D%0A"));
});

test("printable ASCII travels as it is, and a broken surrogate as the replacement character", () => {
  assert.equal(encodeStatusMessage("state store 'a' is ~ not"), "state store 'a' is ~ not");
  assert.equal(encodeStatusMessage("cut \ud83d"), "cut %EF%BF%BD");
  assert.equal(encodeStatusMessage("\u007f"), "%7F");
});

test("blanks at either end are encoded, since a field's value has none there", () => {
  assert.equal(encodeStatusMessage(" a b  "), "%20a b%20%20");
  assert.equal(encodeStatusMessage(" "), "%20");
  assert.equal(encodeStatusMessage(""), "");
});

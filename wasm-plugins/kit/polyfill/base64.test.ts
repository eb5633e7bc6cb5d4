import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBase64, toBase64 } from "./base64.ts";

test("base64 is what Node makes of it, both ways", () => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code));
  for (let length = 0; length < 260; length++) {
    const text = all.repeat(2).slice(0, length);
    assert.equal(toBase64(text), btoa(text));
    assert.equal(fromBase64(btoa(text)), text);
  }
});

test("base64 without padding, or with spaces in it, is taken as Node takes it, and anything else is refused", () => {
  for (const text of ["", "YQ", "YWI", "YWJj", "YQ==", " Y W\nJ j ", "YR=="])
    assert.equal(fromBase64(text), atob(text));
  for (const text of ["Y", "YQ=", "YQ===", "Y=Q=", "Y*==", "=", "YWJjZ"]) {
    assert.throws(() => atob(text), text);
    assert.throws(() => fromBase64(text), /not base64/, text);
  }
  assert.throws(() => toBase64("€"), /U\+00FF/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTimeout } from "./grpc-timeout.ts";

test("a grpc-timeout is read in each of its units", () => {
  const texts = ["2H", "3M", "4S", "50m", "60u", "70n", "99999999m", "0S"];
  assert.deepEqual(texts.map(parseTimeout), [7_200_000, 180_000, 4_000, 50, 0.06, 70 * 1e-6, 99_999_999, 0]);
});

test("what is not 1 to 8 digits and a unit is no grpc-timeout", () => {
  for (const text of ["", "1", "S", "123456789S", "1s", "1 S", "-1S", "+1S", "1.5S", "١S", "1S ", "1SS"]) {
    assert.equal(parseTimeout(text), undefined, text);
  }
});

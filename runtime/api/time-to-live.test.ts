import assert from "node:assert/strict";
import { test } from "node:test";
import { expiryMetadata, ttlMsOf } from "./time-to-live.ts";

test("ttlInSeconds limits a life; -1 and nothing do not", () => {
  assert.equal(ttlMsOf({ ttlInSeconds: "5" }, "k"), 5000);
  assert.equal(ttlMsOf({ ttlInSeconds: "-1" }, "k"), undefined);
  assert.equal(ttlMsOf({}, "k"), undefined);
});

test("anything else is refused by name", () => {
  for (const value of ["0", "-2", "1.5", "soon", "", " 5", "99999999999"]) {
    assert.throws(() => ttlMsOf({ ttlInSeconds: value }, "k"), {
      code: "INVALID_ARGUMENT",
      reason: "TTL_INVALID",
      message: new RegExp(`of 'k' is '${value}'`),
    });
  }
});

test("the end of a life is told in RFC 3339, and not at all when there is none", () => {
  assert.deepEqual(expiryMetadata(Date.UTC(2030, 0, 2, 3, 4, 5)), { ttlExpireTime: "2030-01-02T03:04:05.000Z" });
  assert.deepEqual(expiryMetadata(undefined), {});
});

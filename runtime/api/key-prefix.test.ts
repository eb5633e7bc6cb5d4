import assert from "node:assert/strict";
import { test } from "node:test";
import { storedKey } from "./key-prefix.ts";

const key = (kind: "state" | "lock" | "sequencer", keyPrefix: string): string =>
  storedKey(kind, { name: "cache", keyPrefix }, "k", { appId: "shop", what: "key" });

test("state keys stand as they are unless the store sets a prefix", () => {
  assert.equal(key("state", ""), "k");
  assert.equal(key("state", "none"), "k");
  assert.equal(key("state", "appid"), "shop||k");
  assert.equal(key("state", "name"), "cache||k");
  assert.equal(key("state", "eu"), "eu||k");
});

test("locks and sequences have their own opening and belong to the application by default", () => {
  assert.equal(key("lock", ""), "lock|||shop||k");
  assert.equal(key("lock", "none"), "lock|||k");
  assert.equal(key("sequencer", ""), "sequencer|||shop||k");
  assert.equal(key("sequencer", "name"), "sequencer|||cache||k");
});

test("an empty key and one that holds the separator are refused, whatever the prefix", () => {
  for (const keyPrefix of ["", "none", "appid"]) {
    const store = { name: "cache", keyPrefix };
    const options = { appId: "shop", what: "resource" };
    assert.throws(() => storedKey("state", store, "", options), { code: "INVALID_ARGUMENT", reason: "KEY_EMPTY" });
    assert.throws(() => storedKey("state", store, "a||b", options), {
      code: "INVALID_ARGUMENT",
      message: /resource 'a\|\|b'/,
    });
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOfStored, storedBeginning, storedKey } from "./key-prefix.ts";

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

test("a key of the backend is given back as it was, under every prefix", () => {
  for (const keyPrefix of ["", "none", "appid", "name", "eu"]) {
    for (const kind of ["state", "lock", "sequencer"] as const) {
      const store = { name: "cache", keyPrefix };
      const use = { appId: "shop", what: "key" };
      for (const name of ["k", "a|b", "|", "ключ"]) {
        assert.equal(keyOfStored(kind, store, storedKey(kind, store, name, use), "shop"), name);
      }
      assert.ok(storedKey(kind, store, "key", use).startsWith(storedBeginning(kind, store, "ke", use)));
      assert.ok(storedKey(kind, store, "key", use).startsWith(storedBeginning(kind, store, "", use)));
    }
  }
});

test("a key of another application, of another kind or without a name is nobody's", () => {
  const bare = { name: "cache", keyPrefix: "none" };
  const own = { name: "cache", keyPrefix: "appid" };
  for (const stored of ["shop||k", "lock|||shop||k", ""]) {
    assert.equal(keyOfStored("state", bare, stored, "shop"), undefined);
  }
  for (const stored of ["k", "bank||k", "shop||", "shop||a||b", "lock|||shop||k"]) {
    assert.equal(keyOfStored("state", own, stored, "shop"), undefined);
  }
});

test("a beginning of keys that holds the separator is refused", () => {
  const use = { appId: "shop", what: "prefix" };
  assert.throws(() => storedBeginning("state", { name: "cache", keyPrefix: "" }, "bank||", use), {
    reason: "KEY_RESERVED",
    message: /prefix 'bank\|\|'/,
  });
});

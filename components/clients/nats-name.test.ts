import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { oddNames } from "../../test/conformance/backend.ts";
import { nameOfNats, nameOfToken, natsDigestOf, natsNameOf, natsTokenOf } from "./nats-name.ts";

const names = [
  ...oddNames,
  "",
  ".",
  "..",
  "a.b",
  "a..b",
  ".a",
  "a.",
  "*",
  ">",
  "a.>",
  "=",
  "=41",
  "=_",
  "$JS.API",
  " ",
];

describe("names in subjects of NATS", () => {
  it("of letters, digits, _ - / and dots between them are left as they are", () => {
    for (const name of ["orders", "orders.created.v1", "A_b-9", "path/to/it"]) assert.equal(natsNameOf(name), name);
    assert.equal(natsTokenOf("orders.created"), "orders=2Ecreated");
  });

  it("are tokens without wildcards, none of them empty", () => {
    for (const name of names) {
      assert.match(natsNameOf(name), /^[\w/=-]+(\.[\w/=-]+)*$/, name.slice(0, 20));
      assert.match(natsTokenOf(name), /^[\w/=-]+$/, name.slice(0, 20));
    }
  });

  it("are found again by their keys, with what was written beside a digest", () => {
    for (const name of names) assert.equal(nameOfNats(natsNameOf(name), name), name);
    assert.equal(nameOfNats(natsNameOf("a b"), undefined), "a b");
    assert.equal(nameOfNats(natsNameOf("long".repeat(100)), "long".repeat(50)), undefined);
    assert.equal(nameOfNats("=clock", undefined), undefined);
  });

  it("never meet", () => {
    for (const encode of [natsNameOf, natsTokenOf, natsDigestOf]) {
      assert.equal(new Set(names.map((name) => encode(name))).size, names.length);
    }
    assert.notEqual(natsDigestOf("a", "b"), natsDigestOf("ab", ""));
  });

  it("are known again, unless they are so long that a digest stands for them", () => {
    for (const name of names) {
      const token = natsTokenOf(name);
      assert.equal(nameOfToken(token), token.startsWith("=_") ? undefined : name);
    }
  });

  it("fit a line of the protocol, however long they are", () => {
    for (const name of [...names, "ключ".repeat(10_000)]) {
      assert.ok(natsNameOf(name).length <= 160);
      assert.ok(natsTokenOf(name).length <= 160);
    }
  });
});

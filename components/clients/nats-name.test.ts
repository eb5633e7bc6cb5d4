import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { oddNames } from "../../test/conformance/backend.ts";
import { nameOfToken, natsDigestOf, natsNameOf, natsTokenOf } from "./nats-name.ts";

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

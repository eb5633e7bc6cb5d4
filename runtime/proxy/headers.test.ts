import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { faultOf, faultOfFields, faultOfRequest, HeaderList, isRequestTarget, statusOf } from "./headers.ts";

describe("a list of headers", () => {
  it("gives the first value of a name, in lower case, and all of them", () => {
    const list = HeaderList.ofFlat(["accept", "a", "accept", "b", "x-one", "1"]);
    assert.deepEqual([list.get("accept"), list.get("Accept"), list.get("none")], ["a", "a", undefined]);
    assert.deepEqual(list.getAll("accept"), ["a", "b"]);
    assert.equal(list.size, 3);
  });

  it("replaces every value of a name in the place of the first", () => {
    const list = HeaderList.of([
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
      ["c", "4"],
    ]);
    list.set("A", "9");
    list.set("d", "5");
    assert.deepEqual(list.entries(), [
      ["a", "9"],
      ["b", "2"],
      ["c", "4"],
      ["d", "5"],
    ]);
  });

  it("removes every field of a name", () => {
    const list = HeaderList.ofFlat(["a", "1", "b", "2", "a", "3"]);
    list.remove("a");
    list.remove("none");
    assert.deepEqual(list.flat, ["b", "2"]);
  });

  it("can be replaced as a whole by its own entries", () => {
    const list = HeaderList.ofFlat(["a", "1", "b", "2"]);
    list.replaceAll(list.entries());
    assert.deepEqual(list.flat, ["a", "1", "b", "2"]);
  });

  it("knows whether it was changed since it was declared good", () => {
    const list = HeaderList.ofFlat(["a", "1"]);
    assert.equal(list.changed, false);
    list.add("b", "2");
    assert.equal(list.changed, true);
    list.settle();
    assert.equal(list.changed, false);
  });

  it("does not keep the array it was made from", () => {
    const raw = ["A", "1"];
    HeaderList.ofFlat(raw).set("a", "2");
    assert.deepEqual(raw, ["A", "1"]);
  });
});

describe("the check of what plugins wrote", () => {
  it("finds names and values that would break a message", () => {
    assert.equal(faultOfFields(added("x-a", "caf\xe9\tok")), undefined);
    for (const value of ["a\r\nb: c", "a\nb", "a\0b", "\u4e2d", "\x7f"]) {
      assert.match(faultOfFields(added("x", value)) ?? "", /the value of 'x'/);
    }
    for (const name of ["", "a b", "a:b", "a\r\n", ":other"]) {
      assert.match(faultOfFields(added(name, "v")) ?? "", /is not a field name/);
    }
  });

  it("asks a request for a method, a path and a host that are some", () => {
    const request = (method: string, path: string, authority: string) =>
      faultOfRequest(HeaderList.ofFlat([":method", method, ":path", path, ":authority", authority]));
    assert.equal(request("GET", "/a?b", "host:1"), undefined);
    assert.match(request("GE T", "/", "h") ?? "", /':method'/);
    assert.match(request("CONNECT", "/", "h") ?? "", /':method'/);
    for (const path of ["", "a", "/a b", "/a\r\nx", "/#"]) assert.match(request("GET", path, "h") ?? "", /':path'/);
    for (const host of ["a/b", "u@h", "a b"]) assert.match(request("GET", "/", host) ?? "", /':authority'/);
  });

  it("takes a status of a final response only", () => {
    const codes = ["200", "599", "100", "099", "600", "2000", "abc", ""].map((text) =>
      statusOf(HeaderList.of([[":status", text]])),
    );
    assert.deepEqual(codes, [200, 599, undefined, undefined, undefined, undefined, undefined, undefined]);
  });

  it("takes targets as they are, without normalising them", () => {
    assert.deepEqual(["/", "/../a//b", "/%zz", "*", "/\xe9"].map(isRequestTarget), [true, true, true, true, true]);
    assert.deepEqual(["", "a", "/ ", "/#a", "/\u4e2d"].map(isRequestTarget), [false, false, false, false, false]);
  });
});

test("what was added is looked at, however it came and however much it is; what a parser put there is not", () => {
  const list = HeaderList.of([["from-parser", "a\nb"]]);
  assert.equal(faultOfFields(list), undefined);
  assert.match(faultOf(list.flat) ?? "", /from-parser/);
  for (let at = 0; at < 200; at += 1) list.set("x", String(at));
  assert.match(faultOfFields(list) ?? "", /from-parser/);
  list.settle();
  list.remove("from-parser");
  assert.equal(faultOfFields(list), undefined);
  list.replaceAll([["a", "b"]]);
  list.add("evil", "a\nb");
  assert.match(faultOfFields(list) ?? "", /evil/);
});

function added(name: string, value: string): HeaderList {
  const list = HeaderList.of();
  list.add(name, value);
  return list;
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { headerOf, json, jsonOf, pathOf, queryOf } from "./http.ts";

const request = (path: string, body = "") => ({
  method: "GET",
  path,
  scheme: "http",
  authority: "localhost",
  headers: [["accept", "text/plain"] satisfies [string, string]],
  body: new TextEncoder().encode(body),
});

describe("a request", () => {
  it("has a path and a query", () => {
    assert.equal(pathOf(request("/a/b?c=d?e")), "/a/b");
    const query = queryOf(request("/?name=Ada+L%C3%B6we&empty=&flag&a=b=c&bad=%zz&&x=1&x=2"));
    assert.deepEqual(Object.fromEntries(query), {
      name: "Ada Löwe",
      empty: "",
      flag: "",
      a: "b=c",
      bad: "%zz",
      x: "2",
    });
    assert.equal(queryOf(request("/a")).size, 0);
  });

  it("has headers, and a body that may be JSON", () => {
    assert.equal(headerOf(request("/"), "accept"), "text/plain");
    assert.equal(headerOf(request("/"), "host"), undefined);
    assert.deepEqual(jsonOf(request("/", '{"a":1}')), { a: 1 });
    assert.equal(jsonOf(request("/", "{")), undefined);
  });
});

describe("a response", () => {
  it("is made of JSON", () => {
    const { status, headers, body } = json(201, { a: "ä" });
    assert.deepEqual([status, headers], [201, [["content-type", "application/json"]]]);
    assert.equal(new TextDecoder().decode(body), '{"a":"ä"}');
  });
});

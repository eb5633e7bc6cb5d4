import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderList } from "./headers.ts";
import { maxRegexPath, pathOf, type RouteMatch, routeName, routeTest } from "./route.ts";

function matches(match: RouteMatch, method: string, target: string, headers: [string, string][] = []): boolean {
  const request = HeaderList.of([[":method", method], [":path", target], ...headers]);
  return routeTest(match)(request, pathOf(target));
}

describe("a route", () => {
  it("matches an exact path, whatever the query", () => {
    assert.equal(matches({ path: "/orders" }, "GET", "/orders?page=2"), true);
    assert.equal(matches({ path: "/orders" }, "GET", "/orders/"), false);
  });

  it("matches the beginning of a path, but not of a query", () => {
    assert.equal(matches({ prefix: "/orders" }, "GET", "/orders/7"), true);
    assert.equal(matches({ prefix: "/orders" }, "GET", "/?/orders"), false);
  });

  it("matches an expression against the whole path", () => {
    assert.equal(matches({ regex: "/orders/\\d+|/jobs" }, "GET", "/orders/77?x=a"), true);
    assert.equal(matches({ regex: "/orders/\\d+|/jobs" }, "GET", "/jobs"), true);
    assert.equal(matches({ regex: "/orders/\\d+|/jobs" }, "GET", "/orders/77/lines"), false);
  });

  it("asks for one of its methods, written in any case", () => {
    assert.equal(matches({ prefix: "/", method: ["get", "POST"] }, "GET", "/"), true);
    assert.equal(matches({ prefix: "/", method: ["get", "POST"] }, "PUT", "/"), false);
  });

  it("asks for exact values of headers, several fields of a name joined", () => {
    const match = { prefix: "/", headers: { "X-Beta": "1" } };
    assert.equal(matches(match, "GET", "/", [["x-beta", "1"]]), true);
    assert.equal(matches(match, "GET", "/", [["x-beta", "12"]]), false);
    assert.equal(matches(match, "GET", "/"), false);
    const twice: [string, string][] = [
      ["x-beta", "1"],
      ["x-beta", "2"],
    ];
    assert.equal(matches(match, "GET", "/", twice), false);
  });

  it("is named after what it matches", () => {
    assert.deepEqual([{ path: "/a" }, { prefix: "/b" }, { regex: "/c" }].map(routeName), ["/a", "/b*", "~/c"]);
  });

  it("cannot be slowed down by a path made for its expression", () => {
    const test = routeTest({ regex: "(/a+)+|(a|aa)+b|(.*)*c" });
    assert.equal(test(HeaderList.of(), `/${"a".repeat(maxRegexPath - 2)}!`), false);
    assert.equal(test(HeaderList.of(), "/aaa/aaa"), true);
  });

  it("does not hold a longer path against an expression than is documented", () => {
    assert.equal(routeTest({ regex: ".*" })(HeaderList.of(), "/".repeat(maxRegexPath + 1)), false);
  });

  it("refuses expressions that are not valid, or that backtrack, with a sentence", () => {
    assert.throws(() => routeTest({ regex: "(" }), /the route's regex "\(" is not valid/);
    assert.throws(() => routeTest({ regex: "(?!a)b" }), /cannot be matched in linear time/);
    assert.throws(() => routeTest({ regex: "(a)\\1" }), /cannot be matched in linear time/);
  });
});

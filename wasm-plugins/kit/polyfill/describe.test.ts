import assert from "node:assert/strict";
import { it, describe as suite } from "node:test";
import { describe, errorText } from "./describe.ts";

suite("a value in the log", () => {
  it("is text as it is, and anything else as its parts", () => {
    assert.equal(describe("a b"), "a b");
    assert.equal(
      describe({ a: "x", b: [1, 2n, true, null, undefined], c: new Date(0) }),
      '{a: "x", b: [1, 2n, true, null, undefined], c: 1970-01-01T00:00:00.000Z}',
    );
    assert.equal(describe(new Map([["k", new Set([1])]])), 'Map {"k" => Set {1}}');
    assert.equal(describe(new Uint8Array([1, 255])), "<2 bytes: 01ff>");
    assert.equal(describe([() => 1, Symbol("s"), /x/g]), "[[function without a name], Symbol(s), /x/g]");
  });

  it("is never long for being deep, wide or circular", () => {
    const circle: Record<string, unknown> = { name: "circle" };
    circle.self = circle;
    assert.equal(describe(circle), '{name: "circle", self: [circular]}');
    assert.equal(describe([[[[[[1]]]]]]), "[[[[[…]]]]]");
    assert.match(describe(Array.from({ length: 1000 }, () => 0)), /^\[(0, ){100}… 900 more\]$/);
    assert.match(describe(new Uint8Array(1000)), /^<1000 bytes: (00){32}…>$/);
  });

  it("shows of an error what the host said, where it was thrown, and its causes", () => {
    const refused = Object.assign(new Error("[object Object] (see error.payload)"), {
      payload: { tag: "not-found", val: "there is no such store" },
      stack: "    at get (/plugin.js:3:4)\n",
    });
    const error = new TypeError("no price", { cause: refused });
    error.stack = "TypeError: no price\n    at priceOf (/plugin.js:1:2)\n    at handle (/plugin.js:9:9)";
    assert.equal(
      errorText(error),
      [
        "TypeError: no price",
        "    at priceOf (/plugin.js:1:2)",
        "    at handle (/plugin.js:9:9)",
        "caused by Error: not-found: there is no such store",
        "    at get (/plugin.js:3:4)",
      ].join("\n"),
    );
    error.cause = error;
    assert.match(errorText(error), /caused by \[circular\]$/);
    assert.equal(errorText("thrown as text"), "thrown as text");
  });
});

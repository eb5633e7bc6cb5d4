import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { memberSource } from "./cloud-event-json.ts";

describe("the source of a member", () => {
  it("is the text as it was written", () => {
    const values = [
      "12345678901234567890",
      "1.10",
      '"a \\"quoted\\" \\\\"',
      '{ "data": [1, "}"], "deep": { "x": "]" } }',
      "[ ]",
      "{}",
      "null",
      "-1e400",
    ];
    for (const value of values) {
      for (const json of [
        `{"data":${value}}`,
        `{ "a" : "data" , "data" : ${value} , "b" : [] }`,
        `\n{"x":{"data":0},\n"data":\n${value}\n}`,
      ]) {
        JSON.parse(json);
        assert.equal(memberSource(json, "data"), value, json);
      }
    }
  });

  it("is the last of several, whatever way its name is written, and none where there is none", () => {
    assert.equal(memberSource('{"data":1,"d\\u0061ta":2}', "data"), "2");
    assert.equal(memberSource("{}", "data"), undefined);
    assert.equal(memberSource('{"a":{"data":1},"b":"\\"data\\":1"}', "data"), undefined);
  });
});

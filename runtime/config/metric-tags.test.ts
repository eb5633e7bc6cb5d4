import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { metricTags } from "./metric-tags.ts";

const mistakeOf = (tag: string, regex: string): string | undefined =>
  metricTags.safeParse([{ tag, regex }]).error?.issues[0]?.message;

describe("metric tags", () => {
  it("are taken as Envoy has them", () => {
    assert.equal(mistakeOf("reporter", "(reporter=\\.=(.*?);\\.;)"), undefined);
    assert.equal(mistakeOf("cluster.name", "^cluster\\.((.+?)\\.)"), undefined);
  });

  it("are refused with what is wrong about them", () => {
    assert.match(mistakeOf("9", "(a)") ?? "", /expected letters/);
    assert.match(mistakeOf("a", "a") ?? "", /expected a group/);
    assert.match(mistakeOf("a", "(a") ?? "", /regular expression of JavaScript: .*Unterminated group/);
    assert.match(mistakeOf("a", "([[:digit:]]+)") ?? "", /POSIX class/);
  });
});

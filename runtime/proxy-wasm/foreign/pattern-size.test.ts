import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RE2JS } from "@bufbuild/re2";
import { patternSize } from "./pattern-size.ts";

const patterns = [
  "",
  "()",
  "plain",
  "^[a-z]+(/[a-z]+)*$",
  "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
  "x{1000}",
  "x{1000}".repeat(20),
  "((x{10}){10}){10}",
  "(a{2,}|b{0,5}){3}",
  "[]{9}]{4}",
  "[^]\\]{9}[:alpha:]]{4}",
  "\\Q(x{900}\\E",
  "\\(\\{{3}",
  "a{,3}",
  "\\p{Greek}{7}\\x{41}{7}",
  "(?i:k|(?P<name>s){30})?",
  "x{10}(?i){10}(?i){10}",
  "(?:\\b.?){400}",
];

describe("the size of a regular expression", () => {
  it("is at least that of what it is compiled to, and not much more", () => {
    for (const pattern of patterns) {
      const { instructions } = patternSize(pattern);
      const compiled = RE2JS.compile(pattern).re2().prog.numInst();
      assert.ok(instructions >= compiled, `${pattern}: ${instructions} for ${compiled}`);
      assert.ok(instructions <= 6 * compiled + 40, `${pattern}: ${instructions} for ${compiled}`);
    }
  });

  it("tells classes of Unicode, within others, too", () => {
    assert.equal(patternSize("\\pL[^\\p{Greek}\\PN]\\\\pL").unicodeClasses, 3);
  });
});

import assert from "node:assert/strict";
import { it } from "node:test";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { stripTraces } from "./strip-traces.ts";

it("leaves out the statements that trace, and nothing else", () => {
  const code = `function insert(value) {
  _debugLog('[insert()] (args', { value, text: ")\\")", more: \`(\${value}\` });
  table.push(value);
    _debugLog("it's in", {
      value,
    });
  if (isOdd) _debugLog("kept");
  // _debugLog('told by nobody', {
  return value;
}
`;
  assert.equal(
    stripTraces(code),
    `function insert(value) {
  table.push(value);
  if (isOdd) _debugLog("kept");
  // _debugLog('told by nobody', {
  return value;
}
`,
  );
});

it("refuses code in which a trace does not end as a statement", () => {
  for (const code of ['_debugLog("a"', "_debugLog('a)');\n_debugLog(')", '_debugLog("a") + 1;'])
    assert.throws(() => stripTraces(code), SandboxError);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { hostcallSections } from "../../test/conformance/proxy-wasm/abi-list.ts";
import { hostFunctionNames } from "./function-names.ts";

test("the names of the host's functions are those that the suite of the ABI holds the host to", () => {
  const tested = new Set(hostcallSections.flatMap(({ functions }) => functions.map(({ name }) => name)));
  const named = Object.entries(hostFunctionNames).flatMap(([module, names]) =>
    names.map((name) => (module === "env" ? name : `${module}.${name}`)),
  );
  assert.deepEqual(named.sort(), [...tested].sort());
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { callbackNames } from "../../../runtime/proxy-wasm/guest-exports.ts";
import { type AbiSection, callbackSections, hostcallSections } from "./abi-list.ts";
import { gapsOf, recordSuite } from "./coverage.ts";

/** The stub that a test of stubs has made. */
const stub = "proxy_redis_call";

const namesIn = (sections: readonly AbiSection[]): string[] => [
  ...new Set(sections.flatMap(({ functions }) => functions.map(({ name }) => name)).sort()),
];

describe("the tests of the Proxy-Wasm ABI", () => {
  const recording = recordSuite();

  it("list what the host has, and nothing else", () => {
    const allocators = ["malloc", "proxy_on_memory_allocate"];
    assert.deepEqual(namesIn(callbackSections), [...callbackNames, ...allocators].sort());
    assert.deepEqual(namesIn(hostcallSections), recording.hostcalls.filter((name) => name !== stub).sort());
  });

  it("call every function in every version that has it, and see each of its answers", () => {
    assert.deepEqual(gapsOf(recording, [...callbackSections, ...hostcallSections]), []);
  });

  it("would notice one that is not called", () => {
    const functions = [{ name: "proxy_imagined", versions: ["0.2.1"] as const, answers: [] }];
    assert.deepEqual(gapsOf(recording, [{ title: "", functions }]), ["no test calls proxy_imagined in ABI 0.2.1"]);
  });
});

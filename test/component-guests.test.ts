import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { componentGuest, componentGuestFile } from "./support/component-guests.ts";
import { startedFor } from "./support/programs.ts";
import { rustComponents } from "./support/rust-components.ts";

const preamble = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
const adding = {
  source: "export const add = (a, b) => a + b;",
  wit: "package outrigger:test; world adding { export add: func(a: u32, b: u32) -> u32; }",
  world: "adding",
  wasi: "none",
} as const;

describe("guests that tests build", () => {
  it("are components of JavaScript, built once", async () => {
    const bytes = await componentGuest(adding);
    assert.deepEqual([...bytes.subarray(0, 8)], preamble);
    const [first, second] = await Promise.all([componentGuestFile(adding), componentGuestFile(adding)]);
    assert.equal(first, second);
  });

  it("tell what is wrong with a guest that cannot be built", async () => {
    await assert.rejects(componentGuest({ ...adding, world: "none-such" }), /none-such/);
  });

  it("are components of Rust", async (context) => {
    const components = await startedFor(context, rustComponents);
    if (components === undefined) return;
    const bytes = await readFile(components.get("smallest") ?? "");
    assert.deepEqual([...bytes.subarray(0, 8)], preamble);
  });
});

/** The globals that call the host, on the sidecar in memory. */
import "../fakes/register.ts";
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const { runtime } = await import("../fakes/runtime.ts");
const { pluginConsole } = await import("./console.ts");
const { pluginCrypto, random } = await import("./random.ts");

beforeEach(() => runtime.reset());

test("the console writes a line for each call", () => {
  pluginConsole.log("stock of", { sku: "apple" }, 3);
  pluginConsole.debug("d");
  pluginConsole.info("i");
  pluginConsole.warn("w");
  pluginConsole.error("e");
  pluginConsole.assert(true, "not this");
  pluginConsole.assert(false, "but this");
  assert.deepEqual(runtime.lines, [
    'info: stock of {sku: "apple"} 3',
    "debug: d",
    "info: i",
    "warn: w",
    "error: e",
    "error: assertion failed but this",
  ]);
});

test("random numbers lie between 0 and 1, and no two are alike", () => {
  const numbers = Array.from({ length: 1000 }, random);
  assert.ok(numbers.every((number) => number >= 0 && number < 1));
  assert.equal(new Set(numbers).size, numbers.length);
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  assert.ok(mean > 0.4 && mean < 0.6, String(mean));
});

test("random bytes fill any view, and make ids of version 4", () => {
  const words = pluginCrypto.getRandomValues(new Uint32Array(64));
  assert.ok(words.some((word) => word > 0xffff));
  assert.throws(() => pluginCrypto.getRandomValues(new Uint8Array(65_537)), RangeError);
  const ids = Array.from({ length: 100 }, () => pluginCrypto.randomUUID());
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(ids).size, ids.length);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { settleWhenIdle } from "./settle.ts";

test("garbage is collected once the process has nothing to do", async () => {
  const collected = Promise.withResolvers<string>();
  const registry = new FinalizationRegistry(collected.resolve);
  (() => registry.register({}, "collected"))();
  using _ = settleWhenIdle();
  // The timer that looks does not keep a process alive.
  const alive = setInterval(() => undefined, 60_000);
  assert.equal(await collected.promise, "collected");
  clearInterval(alive);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { z } from "zod";
import { catalog } from "../catalog.ts";
import { milliseconds } from "./milliseconds.ts";

/** How long a server keeps something; no timer here waits for it. */
const untimed = new Set(["maxAgeMs"]);

test("no backend takes milliseconds that its timers cannot wait", async () => {
  let settings = 0;
  for (const [kind, types] of Object.entries(catalog)) {
    for (const [type, find] of Object.entries(types)) {
      const { config }: { readonly config: z.ZodObject } = await find();
      for (const key of Object.keys(config.shape).filter((one) => one.endsWith("Ms") && !untimed.has(one))) {
        settings++;
        const { error } = config.safeParse({ [key]: 99_999_999_999 });
        const messages = error?.issues.filter(({ path }) => path[0] === key).map(({ message }) => message) ?? [];
        assert.equal(messages.length, 1, `${key} of ${kind} ${type} is refused with one sentence`);
      }
    }
  }
  assert.ok(settings > 20);
});

test("the longest are taken, whole numbers from 1", () => {
  for (const good of [1, 1_000_000_000]) assert.equal(milliseconds.parse(good), good);
  for (const bad of [0, -1, 1.5, 1_000_000_001]) assert.throws(() => milliseconds.parse(bad), String(bad));
});

/** What the store in memory does beside what every state store does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { callWith } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { setOf } from "../../test/support/state-access.ts";
import { memoryStateStore } from "./memory.ts";

test("it looks at so many keys for a page, however few of them come on it", async () => {
  await using store = await memoryStateStore.open(memoryStateStore.config.parse({}), openContext("orders"));
  for (let index = 0; index < 25_000; index++) await store.set(setOf(`other-${index}`, ""), callWith());
  await store.set(setOf("wanted", ""), callWith());
  const sizes: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.keys?.({ prefix: "wanted", cursor, limit: 10 }, callWith());
    sizes.push(page?.keys.length ?? -1);
    cursor = page?.cursor;
  } while (cursor !== undefined);
  assert.deepEqual(sizes, [0, 0, 1]);
});

test("what a refused transaction took back is listed once", async () => {
  await using store = await memoryStateStore.open(memoryStateStore.config.parse({}), openContext("orders"));
  for (const key of ["a", "b", "c"]) await store.set(setOf(key, ""), callWith());
  const operations = [
    { operation: "delete", delete: { key: "a", concurrency: "last-write" } },
    { operation: "set", set: setOf("a", "") },
    { operation: "delete", delete: { key: "b", concurrency: "last-write" } },
    { operation: "set", set: setOf("c", "", { etag: "wrong" }) },
  ] as const;
  await assert.rejects(async () => store.transact?.(operations, callWith()), { reason: "ETAG_MISMATCH" });
  const page = await store.keys?.({ prefix: "", cursor: undefined, limit: 10 }, callWith());
  assert.deepEqual([...(page?.keys ?? [])].sort(), ["a", "b", "c"]);
});

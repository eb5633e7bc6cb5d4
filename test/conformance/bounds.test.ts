/** What strangers can fill has a bound in every memory component, and room comes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryConfigStore } from "../../components/config/memory.ts";
import { RuntimeError } from "../../components/error.ts";
import { memoryLockStore } from "../../components/lock/memory.ts";
import { memorySequencer } from "../../components/sequencer/memory.ts";
import { memoryStateStore } from "../../components/state/memory.ts";
import type { SetState } from "../../components/state/state-store.ts";
import { openContext } from "../support/open-context.ts";
import { callWith, eventually } from "./backend.ts";

const context = openContext("small");
const isExhausted = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === "RESOURCE_EXHAUSTED" && error.message.includes("'small'");

test("a state store in memory refuses what is over maxBytes, and takes it when other entries are gone", async () => {
  await using store = await memoryStateStore.open({ maxBytes: 10_000 }, context);
  const set = (key: string, bytes: number, ttlMs?: number): Promise<void> => {
    const request: SetState = { key, value: new Uint8Array(bytes), concurrency: "last-write", consistency: "strong" };
    return store.set(ttlMs === undefined ? request : { ...request, ttlMs }, callWith());
  };
  await set("a", 6_000);
  await assert.rejects(set("b", 6_000), isExhausted);
  await set("a", 9_000);
  await store.delete({ key: "a", concurrency: "last-write" }, callWith());
  await set("b", 6_000, 20);
  await eventually("the expired entry makes room", () =>
    set("c", 6_000).then(
      () => true,
      () => false,
    ),
  );
});

test("a transaction that does not fit leaves a state store in memory as it was", async () => {
  await using store = await memoryStateStore.open({ maxBytes: 10_000 }, context);
  const set = (key: string, bytes: number) => {
    const request = { key, value: new Uint8Array(bytes), concurrency: "last-write", consistency: "strong" } as const;
    return { operation: "set", set: request } as const;
  };
  await store.transact?.([set("a", 100)], callWith());
  await assert.rejects(
    async () => store.transact?.([set("a", 200), set("b", 9_000), set("c", 9_000)], callWith()),
    isExhausted,
  );
  assert.equal((await store.get({ key: "a", consistency: "strong" }, callWith()))?.value.length, 100);
  assert.equal(await store.get({ key: "b", consistency: "strong" }, callWith()), undefined);
  await store.transact?.([set("b", 9_000)], callWith());
});

test("a lock store in memory refuses locks over maxBytes, and takes them when others are given back or ended", async () => {
  await using store = await memoryLockStore.open({ maxBytes: 10_000 }, context);
  const take = (resource: string, leaseMs = 600_000): Promise<boolean> =>
    store.tryLock({ resource, owner: "one", leaseMs }, callWith());
  assert.equal(await take("a".repeat(3_000)), true);
  await assert.rejects(take("b".repeat(3_000)), isExhausted);
  assert.equal(await take("a".repeat(3_000)), false);
  await store.unlock({ resource: "a".repeat(3_000), owner: "one" }, callWith());
  assert.equal(await take("b".repeat(3_000), 20), true);
  await eventually("the ended lease makes room", () => take("c".repeat(3_000)).catch(() => false));
});

test("a sequencer in memory refuses new keys over maxBytes, and goes on with those it has", async () => {
  await using sequencer = await memorySequencer.open({ maxBytes: 10_000 }, context);
  const reserve = (key: string): Promise<bigint> => sequencer.reserve({ key, count: 1 }, callWith());
  assert.equal(await reserve("a".repeat(3_000)), 1n);
  await assert.rejects(reserve("b".repeat(3_000)), isExhausted);
  assert.equal(await reserve("a".repeat(3_000)), 2n);
});

test("a configuration store in memory refuses items over maxBytes, and takes them when others are gone", async () => {
  await using store = await memoryConfigStore.open({ maxBytes: 10_000 }, context);
  const save = (key: string): Promise<void> => {
    const item = { key, content: "x".repeat(3_000), group: "", label: "", tags: {}, metadata: {} };
    return store.save({ appId: "app", items: [item] }, callWith());
  };
  await save("a");
  await save("a");
  await assert.rejects(save("b"), isExhausted);
  await store.delete({ appId: "app", group: "", label: "", keys: ["a"] }, callWith());
  await save("b");
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { memoryLockStore } from "../../components/lock/memory.ts";
import { callContext, oneStore, openComponent } from "../../test/support/api.ts";
import { createLock } from "./lock.ts";
import { storeSet } from "./stores.ts";

const call = callContext();

async function openLock() {
  const store = await openComponent(memoryLockStore, "jobs");
  const lock = createLock(storeSet("lock", oneStore("jobs", store)));
  return { lock, store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

const lease = (owner: string, expireSeconds = 30, resource = "r") => ({
  store: "jobs",
  resource,
  owner,
  expireSeconds,
});

describe("the lock block", () => {
  it("gives a lock to one owner until it is unlocked, and says to whom it belongs", async () => {
    await using opened = await openLock();
    const { lock } = opened;
    assert.equal(await lock.unlock(lease("a"), call), "not-locked");
    assert.equal(await lock.tryLock(lease("a"), call), true);
    assert.equal(await lock.tryLock(lease("a"), call), false, "locks are not re-entrant");
    assert.equal(await lock.tryLock(lease("b"), call), false);
    assert.equal(await lock.unlock(lease("b"), call), "owned-by-other");
    assert.equal(await lock.unlock(lease("a"), call), "success");
    assert.equal(await lock.tryLock(lease("b"), call), true);
  });

  it("renews the lease of the owner and of nobody else", async () => {
    await using opened = await openLock();
    const { lock } = opened;
    assert.equal(await lock.keepAlive(lease("a"), call), "not-locked");
    await lock.tryLock(lease("a"), call);
    assert.equal(await lock.keepAlive(lease("a"), call), "success");
    assert.equal(await lock.keepAlive(lease("b"), call), "owned-by-other");
  });

  it("keeps the locks of applications apart in one store", async () => {
    await using opened = await openLock();
    await opened.lock.tryLock(lease("a"), call);
    const stored = { resource: "lock|||app||r", owner: "a" };
    assert.equal(await opened.store.unlock(stored, call), "success");
  });

  it("refuses an empty resource or owner and a lease that is not above 0", async () => {
    await using opened = await openLock();
    const { lock } = opened;
    await assert.rejects(lock.tryLock(lease("a", 30, ""), call), {
      code: "INVALID_ARGUMENT",
      message: /resource is empty/,
    });
    await assert.rejects(lock.tryLock(lease(""), call), { code: "INVALID_ARGUMENT", reason: "LOCK_OWNER_EMPTY" });
    await assert.rejects(lock.unlock(lease(""), call), { code: "INVALID_ARGUMENT" });
    for (const seconds of [0, -1]) {
      await assert.rejects(lock.tryLock(lease("a", seconds), call), { reason: "LOCK_EXPIRE_INVALID" });
      await assert.rejects(lock.keepAlive(lease("a", seconds), call), { reason: "LOCK_EXPIRE_INVALID" });
    }
  });
});

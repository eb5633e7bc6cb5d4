import assert from "node:assert/strict";
import { test } from "node:test";
import { BoundedQueue } from "./bounded-queue.ts";

test("gives what was pushed in order, before and while it is read, and ends after it", async () => {
  const queue = new BoundedQueue<number>(10);
  queue.push(1);
  const read = Array.fromAsync(queue);
  await Promise.resolve();
  queue.push(2);
  queue.push(3);
  queue.end();
  assert.deepEqual(await read, [1, 2, 3]);
  assert.equal(queue.push(4), false);
});

test("takes no more than its capacity until something was read", async () => {
  const queue = new BoundedQueue<string>(3);
  assert.equal(queue.push("a", 2), true);
  assert.equal(queue.push("b", 2), false);
  assert.equal(queue.push("c", 1), true);
  const items = queue[Symbol.asyncIterator]();
  assert.equal((await items.next()).value, "a");
  assert.equal(queue.push("d", 2), true);
});

test("an item above the capacity still fits into an empty queue", () => {
  const queue = new BoundedQueue<string>(3);
  assert.equal(queue.push("big", 100), true);
  assert.equal(queue.push("small"), false);
});

test("a failure ends the iteration at once, and the first outcome stays", async () => {
  const queue = new BoundedQueue<number>(10);
  queue.push(1);
  queue.fail(new Error("gone"));
  queue.end();
  await assert.rejects(Array.fromAsync(queue), /gone/);
});

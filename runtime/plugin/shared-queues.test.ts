import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SharedQueueStore } from "./shared-queues.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** A consumer that notes the tokens it is told. */
function consumer() {
  const told: number[] = [];
  return { told, ready: (token: number) => void told.push(token) };
}

describe("shared queues", () => {
  it("give what was put in, first in first out, as copies", () => {
    const queues = new SharedQueueStore().of({ name: "shop", vmId: "" });
    const { token } = queues.register("orders", consumer());
    const first = bytes("first");
    queues.enqueue(token, first);
    queues.enqueue(token, bytes("second"));
    first.fill(0);
    assert.deepEqual(queues.dequeue(token), Uint8Array.from(bytes("first")));
    assert.deepEqual(queues.dequeue(token), Uint8Array.from(bytes("second")));
    assert.equal(queues.dequeue(token), "empty");
  });

  it("are found by the VM id and the name, and those of a plugin without a VM id by itself only", () => {
    const store = new SharedQueueStore();
    const service = store.of({ name: "service", vmId: "singleton" });
    const filter = store.of({ name: "filter", vmId: "" });
    const { token } = service.register("logs", consumer());
    const own = filter.register("logs", consumer()).token;
    assert.notEqual(own, token);
    assert.equal(filter.resolve("singleton", "logs"), token);
    assert.equal(filter.resolve("", "logs"), own);
    assert.equal(service.resolve("filter", "logs"), undefined);
    assert.equal(filter.resolve("singleton", "other"), undefined);
  });

  it("tell the last who registered and is there, and keep what nobody took", () => {
    const queues = new SharedQueueStore().of({ name: "shop", vmId: "vm" });
    const [one, two] = [consumer(), consumer()];
    const first = queues.register("orders", one);
    const second = queues.register("orders", two);
    assert.equal(first.token, second.token);
    queues.enqueue(first.token, bytes("a"));
    second[Symbol.dispose]();
    queues.enqueue(first.token, bytes("b"));
    first[Symbol.dispose]();
    queues.enqueue(first.token, bytes("c"));
    assert.deepEqual([one.told, two.told], [[first.token], [first.token]]);
    assert.deepEqual(queues.dequeue(first.token), Uint8Array.from(bytes("a")));
    assert.equal(queues.register("orders", one).token, first.token);
    assert.deepEqual(queues.dequeue(first.token), Uint8Array.from(bytes("b")));
  });

  it("know no token that they did not give", () => {
    const queues = new SharedQueueStore().of({ name: "shop", vmId: "" });
    for (const token of [0, 1, -1, 4_000_000_000]) {
      assert.equal(queues.enqueue(token, bytes("x")), false);
      assert.equal(queues.dequeue(token), undefined);
    }
  });

  it("have bounds, and room again once something was taken", () => {
    const queues = new SharedQueueStore({ bytes: 1_000, items: 3, queues: 2 }).of({ name: "shop", vmId: "" });
    const { token } = queues.register("a", consumer());
    for (const text of ["1", "2", "3"]) queues.enqueue(token, bytes(text));
    assert.throws(() => queues.enqueue(token, bytes("4")), RangeError);
    queues.dequeue(token);
    queues.enqueue(token, bytes("4"));
    const other = queues.register("b", consumer()).token;
    assert.throws(() => queues.enqueue(other, Buffer.alloc(900)), RangeError);
    assert.throws(() => queues.register("c", consumer()), RangeError);
    assert.equal(queues.register("a", consumer()).token, token);
  });
});

import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { RoundRobin } from "./balancer.ts";
import type { Endpoint } from "./endpoint-source.ts";

const at = (port: number): Endpoint => ({ host: "127.0.0.1", port });
const picks = (balancer: RoundRobin, count: number) => Array.from({ length: count }, () => balancer.pick()?.port);

describe("endpoints that take turns", () => {
  it("come one after the other", () => {
    assert.deepEqual(picks(new RoundRobin([at(1), at(2), at(3)]), 7), [1, 2, 3, 1, 2, 3, 1]);
  });

  it("are none when there are none", () => {
    assert.equal(new RoundRobin([]).pick(), undefined);
  });

  it("leave out those that were tried", () => {
    const endpoints = [at(1), at(2)];
    const balancer = new RoundRobin(endpoints);
    const tried = new Set<Endpoint>();
    for (let step = 0; step < 2; step += 1) {
      const endpoint = balancer.pick(tried);
      assert.ok(endpoint);
      tried.add(endpoint);
    }
    assert.equal(tried.size, 2);
    assert.equal(balancer.pick(tried), undefined);
  });

  it("come last for a while after a connection failed, unless there is no other", (test) => {
    let now = 0;
    const clock = mock.method(performance, "now", () => now);
    test.after(() => clock.mock.restore());
    const endpoints = [at(1), at(2)];
    const balancer = new RoundRobin(endpoints);
    balancer.failed(at(1));
    assert.deepEqual(picks(balancer, 3), [2, 2, 2]);
    balancer.failed(at(2));
    assert.equal(typeof balancer.pick()?.port, "number");
    balancer.connected(at(2));
    assert.deepEqual(picks(balancer, 2), [2, 2]);
    now = 5_001;
    assert.deepEqual(new Set(picks(balancer, 4)), new Set([1, 2]));
  });

  it("are replaced by a new list", () => {
    const balancer = new RoundRobin([at(1), at(2), at(3)]);
    picks(balancer, 2);
    balancer.update([at(9)]);
    assert.deepEqual(picks(balancer, 2), [9, 9]);
  });
});

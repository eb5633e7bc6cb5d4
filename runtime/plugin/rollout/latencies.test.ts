import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Latencies } from "./latencies.ts";

describe("the histogram of latencies", () => {
  it("knows quantiles to a sixteenth, from microseconds to more than half an hour", () => {
    for (const scale of [0.001, 1, 60_000]) {
      const latencies = new Latencies();
      for (let count = 1; count <= 100; count++) latencies.add((count * scale) / 3);
      for (const share of [0.01, 0.5, 0.99, 1]) {
        const exact = (share * 100 * scale) / 3;
        const told = latencies.quantile(share);
        assert.ok(
          told >= exact - 0.001 && told <= exact * (1 + 1 / 16) + 0.001,
          `${share} of ${scale}: ${told} for ${exact}`,
        );
      }
    }
  });

  it("counts those above a limit", () => {
    const latencies = new Latencies();
    for (const ms of [1, 2, 50, 51, 1_000]) latencies.add(ms);
    assert.deepEqual(
      [0, 10, 100, 9_999].map((limit) => latencies.above(limit)),
      [5, 3, 1, 0],
    );
  });

  it("tells 0 when there is nothing, and takes what is out of its range", () => {
    const latencies = new Latencies();
    assert.equal(latencies.quantile(0.99), 0);
    latencies.add(-1);
    assert.equal(latencies.quantile(0.99), 0);
    latencies.add(1e12);
    assert.ok(latencies.quantile(1) >= 2_000_000);
  });
});

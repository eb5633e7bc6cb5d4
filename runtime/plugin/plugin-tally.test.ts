import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PluginTally } from "./plugin-tally.ts";

function atTime() {
  const clock = { now: 0 };
  const tally = new PluginTally(() => clock.now);
  return { clock, tally, gone: (peakShare: number) => tally.gone({ calls: 1, fuel: 10, peakShare }) };
}

describe("the tally of a plugin", () => {
  it("keeps what instances did that are gone", () => {
    const { tally, gone } = atTime();
    tally.started("wanted");
    tally.started("crash");
    gone(0);
    gone(0);
    tally.trapped();
    const { calls, fuel, traps, created, reloads, instances } = tally.totals();
    assert.deepEqual(
      { calls, fuel, traps, created, reloads, instances },
      {
        calls: 2,
        fuel: 20,
        traps: 1,
        created: 2,
        reloads: 1,
        instances: 0,
      },
    );
  });

  it("tells the largest share of its budget that a callback used in the last minute, however often it is asked", () => {
    const { clock, tally, gone } = atTime();
    const shareAt = (now: number): number => {
      clock.now = now;
      return tally.totals().budgetShare;
    };
    gone(0.9);
    assert.equal(shareAt(0), 0.9);
    gone(0.2);
    assert.equal(shareAt(30_000), 0.9);
    assert.equal(shareAt(59_999), 0.9);
    assert.equal(shareAt(60_000), 0.2);
    gone(0.5);
    assert.equal(shareAt(61_000), 0.5);
    assert.equal(shareAt(121_000), 0);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CrashBudget, defaultCrashLimits } from "./crash-budget.ts";

function atTime(): { budget: CrashBudget; clock: { now: number } } {
  const clock = { now: 0 };
  return { budget: new CrashBudget(defaultCrashLimits, () => clock.now), clock };
}

const crashes = (budget: CrashBudget, count: number) => Array.from({ length: count }, () => budget.crash());

describe("the crash budget", () => {
  it("replaces three in a minute at once, then after waits that double, and stops at the tenth", () => {
    const { budget } = atTime();
    assert.deepEqual(
      crashes(budget, 10).map(({ action, afterMs }) => `${action} ${afterMs}`),
      [
        "replace 0",
        "replace 0",
        "replace 0",
        "replace 25",
        "replace 50",
        "replace 100",
        "replace 200",
        "replace 400",
        "replace 800",
        "stop 10000",
      ],
    );
  });

  it("forgets a crash after a minute", () => {
    const { budget, clock } = atTime();
    for (let crash = 0; crash < 100; crash++) {
      assert.deepEqual(budget.crash(), { action: "replace", afterMs: 0 });
      clock.now += 20_000;
    }
  });

  it("counts in a window that slides: nine crashes and a tenth after the first has aged do not stop it", () => {
    const { budget, clock } = atTime();
    budget.crash();
    clock.now = 59_000;
    crashes(budget, 8);
    clock.now = 60_000;
    assert.equal(budget.crash().action, "replace");
    assert.equal(budget.crash().action, "stop");
  });

  it("waits twice as long each time it stops again, up to five minutes", () => {
    const { budget, clock } = atTime();
    const waits = Array.from({ length: 8 }, () => {
      const verdict = crashes(budget, 10).at(-1);
      assert.equal(verdict?.action, "stop");
      clock.now += verdict.afterMs;
      budget.resume();
      return verdict.afterMs / 1000;
    });
    assert.deepEqual(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
  });

  it("begins anew after a minute without a crash", () => {
    const { budget, clock } = atTime();
    crashes(budget, 10);
    clock.now = 10_000;
    budget.resume();
    clock.now = 70_000;
    assert.deepEqual(crashes(budget, 10).at(-1), { action: "stop", afterMs: 10_000 });
  });
});

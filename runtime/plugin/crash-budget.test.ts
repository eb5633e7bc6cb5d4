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
        "replace 1000",
        "replace 2000",
        "replace 4000",
        "replace 8000",
        "replace 16000",
        "replace 32000",
        "stop 60000",
      ],
    );
  });

  it("does not take the time that a replacement waits for a time without crashes", () => {
    const { budget, clock } = atTime();
    const verdicts = Array.from({ length: 10 }, () => {
      const { action, afterMs } = budget.crash();
      clock.now += afterMs;
      return action;
    });
    assert.equal(clock.now, 63_000 + 60_000);
    assert.equal(verdicts.at(-1), "stop");
  });

  it("caps the wait", () => {
    const budget = new CrashBudget({ ...defaultCrashLimits, most: 20 }, () => 0);
    assert.deepEqual(
      crashes(budget, 12).map(({ afterMs }) => afterMs / 1000),
      [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60],
    );
  });

  it("lets a hurried replacement wait for nothing, and stops all the same", () => {
    const { budget } = atTime();
    const verdicts = Array.from({ length: 10 }, () => budget.crash("hurried"));
    assert.deepEqual(new Set(verdicts.slice(0, 9).map(({ afterMs }) => afterMs)), new Set([0]));
    assert.equal(verdicts[9]?.action, "stop");
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
    for (let crash = 0; crash < 8; crash++) budget.crash("hurried");
    clock.now = 60_000;
    assert.equal(budget.crash("hurried").action, "replace");
    assert.equal(budget.crash("hurried").action, "stop");
  });

  it("waits twice as long each time it stops again, up to five minutes", () => {
    const { budget, clock } = atTime();
    const waits = Array.from({ length: 5 }, () => {
      const verdict = crashes(budget, 10).at(-1);
      assert.equal(verdict?.action, "stop");
      clock.now += verdict.afterMs;
      budget.resume();
      return verdict.afterMs / 1000;
    });
    assert.deepEqual(waits, [60, 120, 240, 300, 300]);
  });

  it("begins anew after a minute without a crash", () => {
    const { budget, clock } = atTime();
    crashes(budget, 10);
    clock.now = 60_000;
    budget.resume();
    clock.now = 120_000;
    assert.deepEqual(crashes(budget, 10).at(-1), { action: "stop", afterMs: 60_000 });
  });
});

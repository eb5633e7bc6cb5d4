import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { linesPerSecond, PluginLogRates } from "./log-rate.ts";

const log = (rate: ReturnType<PluginLogRates["of"]>, times: number, told: number[]): number =>
  Array.from({ length: times }, () => rate((lines) => told.push(lines))).filter((isAllowed) => isAllowed).length;

describe("the rate at which a plugin logs", () => {
  it("is limited for a second, at whose end it is told how many lines were left out", ({ mock }) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    using rates = new PluginLogRates();
    const told: number[] = [];
    assert.equal(log(rates.of("loud"), linesPerSecond + 7, told), linesPerSecond);
    assert.equal(log(rates.of("loud"), 1, told), 0);
    mock.timers.tick(999);
    assert.deepEqual(told, []);
    mock.timers.tick(1);
    assert.deepEqual(told, [8]);
    assert.equal(log(rates.of("loud"), 5, told), 5);
    mock.timers.tick(1_000);
    assert.deepEqual(told, [8]);
  });

  it("is that of one plugin", ({ mock }) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    using rates = new PluginLogRates();
    log(rates.of("loud"), linesPerSecond + 1, []);
    assert.equal(log(rates.of("quiet"), 3, []), 3);
  });

  it("is told at the end, too", ({ mock }) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const told: number[] = [];
    {
      using rates = new PluginLogRates();
      log(rates.of("loud"), linesPerSecond + 2, told);
    }
    assert.deepEqual(told, [2]);
    mock.timers.tick(5_000);
    assert.deepEqual(told, [2]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assemble } from "../../test/support/wat.ts";
import { SandboxCompiler } from "../plugin/sandbox/compiler.ts";
import { GuestMeter, GuestStopped } from "./guest-meter.ts";

describe("the meter of a guest", () => {
  const filled = (fuel: number): GuestMeter => {
    const meter = new GuestMeter();
    meter.refill(fuel);
    return meter;
  };

  it("lets a guest pay what it has, and no more", () => {
    const meter = filled(100);
    meter.pay(60);
    meter.payLittle(40);
    assert.equal(meter.used, 100);
    assert.throws(() => meter.pay(1), GuestStopped);
    assert.ok(meter.isOut);
  });

  it("pays nothing back, whatever a guest makes it charge", () => {
    for (const amount of [-1, -1e300, Number.NaN, Number.POSITIVE_INFINITY, "1" as unknown as number]) {
      const meter = filled(100);
      meter.pay(10);
      assert.throws(() => meter.pay(amount), GuestStopped, String(amount));
      assert.throws(() => meter.payLittle(amount), GuestStopped, String(amount));
      assert.equal(meter.used, 10);
    }
  });

  it("takes what one part used from all, where the host is called, and revives none that has run out", async () => {
    const text = `(module (func (export "run") (param $times i32)
      (loop $again
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $again (local.get $times)))))`;
    const limits = { memoryBytes: 65_536, tableEntries: 1, startFuel: 1_000_000 };
    await using modules = new SandboxCompiler();
    const { module } = await modules.compile(await assemble("run", text), limits);
    const meter = filled(1_000_000);
    const parts = Array.from({ length: 4 }, () => {
      const instance = new WebAssembly.Instance(module);
      meter.attach(instance);
      const { run } = instance.exports;
      assert.ok(typeof run === "function");
      return run as (times: number) => void;
    });
    meter.refill(1_000_000);
    const [first, second, third] = parts;
    first?.(1_000);
    const perTurn = meter.used / 1_000;
    assert.ok(perTurn > 1 && perTurn < 10, String(perTurn));
    first?.(600_000 / perTurn);
    meter.payLittle(100_000);
    const used = meter.used;
    assert.ok(used > 700_000 && used < 710_000, String(used));
    assert.throws(() => second?.(300_000 / perTurn), WebAssembly.RuntimeError, "less than that is left");
    assert.ok(meter.isOut);
    assert.throws(() => meter.pay(1), GuestStopped);
    assert.throws(() => third?.(1), WebAssembly.RuntimeError);
  });
});

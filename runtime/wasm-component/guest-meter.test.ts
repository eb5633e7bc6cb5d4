import assert from "node:assert/strict";
import { describe, it } from "node:test";
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
});

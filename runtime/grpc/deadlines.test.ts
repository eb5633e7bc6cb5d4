import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Deadlines } from "./deadlines.ts";

/** Keeps deadlines in so many milliseconds from now, and tells those that expired, in order. */
function wheel() {
  const deadlines = new Deadlines();
  const expired: { readonly delayMs: number; readonly afterMs: number }[] = [];
  const begin = performance.now();
  const keep = (delayMs: number, then: () => void = () => undefined) =>
    deadlines.keep(
      {
        expire() {
          expired.push({ delayMs, afterMs: performance.now() - begin });
          then();
        },
      },
      delayMs,
      begin,
    );
  const untilExpired = (delayMs: number): Promise<void> => new Promise((resolve) => keep(delayMs, resolve));
  return { deadlines, expired, keep, untilExpired };
}

describe("the deadlines of many calls", () => {
  it("expire in their order, none of them early", async () => {
    const { deadlines, expired, keep, untilExpired } = wheel();
    using _ = deadlines;
    // Further apart than a slot is long.
    for (const delayMs of [60, 10, 36, 0, 22, 36]) keep(delayMs);
    await untilExpired(90);
    assert.deepEqual(
      expired.map(({ delayMs }) => delayMs),
      [0, 10, 22, 36, 36, 60, 90],
    );
    for (const { delayMs, afterMs } of expired) assert.ok(afterMs >= delayMs, `${delayMs} after ${afterMs}`);
  });

  it("are forgotten when they are dropped, even by one that expires with them", async () => {
    const { deadlines, expired, keep, untilExpired } = wheel();
    using _ = deadlines;
    const dropped = keep(10);
    const together = [0, 1].map((index) => keep(20, () => deadlines.drop(together[1 - index] ?? assert.fail())));
    deadlines.drop(dropped);
    deadlines.drop(dropped);
    await untilExpired(40);
    assert.deepEqual(
      expired.map(({ delayMs }) => delayMs),
      [20, 40],
    );
  });

  it("may be kept while others expire, and beyond one turn of the wheel", async () => {
    const { deadlines, expired, keep, untilExpired } = wheel();
    using _ = deadlines;
    // Falls into the slot of 8 ms, a turn later.
    keep(8 + 8 * 1024);
    keep(2 ** 40);
    let again = Promise.resolve();
    await untilExpired(8).then(() => {
      again = untilExpired(24);
    });
    await again;
    assert.deepEqual(
      expired.map(({ delayMs }) => delayMs),
      [8, 24],
    );
  });

  it("do not expire once their owner is gone", async () => {
    const { deadlines, expired, keep } = wheel();
    const other = wheel();
    using _ = other.deadlines;
    keep(5);
    deadlines[Symbol.dispose]();
    keep(6);
    await other.untilExpired(30);
    assert.deepEqual(expired, []);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fuelShares, type PartBytes, shareLimits } from "./part-limits.ts";

const part = (bytes: number, instances = 1): PartBytes => ({ bytes: new Uint8Array(bytes), instances });
const together = (parts: readonly PartBytes[]): number =>
  fuelShares(parts).reduce((sum, share, index) => sum + share * (parts[index]?.instances ?? 0), 0);

describe("the fuel of the parts of a component", () => {
  it("is all that a part has which is alone, and all that a program has beside its adapters", () => {
    assert.deepEqual(fuelShares([part(100)]), [1]);
    const [adapter = 0, program, shim] = fuelShares([part(18_000), part(1_000_000), part(1_000)]);
    assert.equal(program, 1);
    assert.ok(adapter > 0.9, String(adapter));
    assert.equal(shim, 1_000 / 19_000);
  });

  it("is no more than two budgets and a half together, however many they are", () => {
    for (const parts of [
      [part(1_000, 64)],
      [part(1_000, 2)],
      Array.from({ length: 64 }, () => part(1_000)),
      [part(1_000_000), part(999_999), ...Array.from({ length: 62 }, () => part(10))],
      [part(1_000, 10), part(999, 54)],
      [part(0, 64)],
      [part(10_000_000, 0), part(1_000, 64)],
    ])
      assert.ok(together(parts) <= 2.5, `${parts.length} parts have ${together(parts)}`);
  });

  it("is enough for each to run", () => {
    for (const share of fuelShares([part(14_000_000), part(12_000), part(90)])) assert.ok(share >= 1 / 128);
  });
});

describe("the memory of the parts of a component", () => {
  it("is for those that are instantiated; others keep their minimum", () => {
    const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
    const bytes = (): Uint8Array<ArrayBuffer> => Uint8Array.from([...header, 5, 3, 1, 0, 1]);
    const limits = { memoryBytes: 4 * 65_536, tableEntries: 1, startFuel: 1 };
    const shares = shareLimits(
      [
        { bytes: bytes(), instances: 0 },
        { bytes: bytes(), instances: 1 },
      ],
      limits,
    );
    assert.deepEqual(
      shares.map(({ memoryBytes }) => memoryBytes / 65_536),
      [1, 4],
    );
  });
});

/**
 * What does it cost to have each write on the disk before it is acknowledged? Writes of 100 bytes, one at a time and with
 * 64 in flight, which share a transaction and its sync. The goal: together at least 5 times cheaper than one at a time.
 */
import { memoryStateStore } from "../../components/state/memory.ts";
import { sqliteStateStore } from "../../components/state/sqlite.ts";
import type { StateStore } from "../../components/state/state-store.ts";
import { callWith, placeFor } from "../conformance/backend.ts";

const goal = 5;
const rounds = 5;

interface Contender {
  readonly name: string;
  readonly store: StateStore;
  readonly inFlight: number;
  readonly writes: number;
}

interface Cost {
  readonly wallUs: number;
  /** Of the thread that serves everything else, too. */
  readonly mainThreadUs: number;
}

async function measure({ store, inFlight, writes }: Contender): Promise<Cost> {
  const call = callWith();
  const value = new Uint8Array(100).fill(7);
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < writes) {
      const key = `key-${next++ % 10_000}`;
      await store.set({ key, value, concurrency: "last-write", consistency: "strong" }, call);
    }
  };
  const beganMs = performance.now();
  const usedBefore = process.threadCpuUsage();
  await Promise.all(Array.from({ length: inFlight }, write));
  const { user, system } = process.threadCpuUsage(usedBefore);
  return { wallUs: ((performance.now() - beganMs) * 1000) / writes, mainThreadUs: (user + system) / writes };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

await using memoryPlace = await placeFor({ definition: memoryStateStore });
await using sqlitePlace = await placeFor({ definition: sqliteStateStore });
await using memory = await memoryPlace.open();
await using sqlite = await sqlitePlace.open();

const contenders: readonly Contender[] = [
  { name: "memory, 64 in flight", store: memory, inFlight: 64, writes: 50_000 },
  { name: "sqlite, one at a time", store: sqlite, inFlight: 1, writes: 500 },
  { name: "sqlite, 64 in flight", store: sqlite, inFlight: 64, writes: 20_000 },
];

for (const contender of contenders) await measure(contender);
const costs = new Map(contenders.map(({ name }) => [name, [] as Cost[]]));
for (let round = 0; round < rounds; round++) {
  for (const contender of contenders) costs.get(contender.name)?.push(await measure(contender));
}
const results = contenders.map(({ name }) => {
  const measured = costs.get(name) ?? [];
  return {
    name,
    wallUs: median(measured.map(({ wallUs }) => wallUs)),
    mainThreadUs: median(measured.map(({ mainThreadUs }) => mainThreadUs)),
  };
});

const alone = results[1]?.wallUs ?? Number.NaN;
const together = results[2]?.wallUs ?? Number.NaN;
console.log("state store              µs a write   main thread   to one at a time");
for (const { name, wallUs, mainThreadUs } of results) {
  const columns = [wallUs.toFixed(2).padStart(10), mainThreadUs.toFixed(2).padStart(11)];
  console.log(`${name.padEnd(25)}${columns.join("   ")}   ${`${(wallUs / alone).toFixed(3)}×`.padStart(16)}`);
}
const ratio = alone / together;
const verdict = ratio >= goal ? "met" : "missed";
console.log(
  `a write on the disk costs ${together.toFixed(1)} µs with 64 in flight, ${ratio.toFixed(0)} times less than alone (goal ${goal}: ${verdict})`,
);
process.exitCode = ratio >= goal ? 0 : 1;

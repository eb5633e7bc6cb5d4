import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StreamTable } from "./stream-table.ts";

interface Entry {
  readonly id: number;
}

/** Numbers that are the same in each run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    yield state >>> 8;
  }
}

describe("the table of streams", () => {
  it("finds, forgets and lists as a Map would, whatever comes and goes in whatever order", () => {
    for (const most of [1, 7, 100, 1500]) {
      const table = new StreamTable<Entry>();
      const map = new Map<number, Entry>();
      const random = numbers(most);
      let id = 1;
      for (let step = 0; step < 20_000; step += 1) {
        const ids = [...map.keys()].slice(0, 50);
        const known = ids[random.next().value % Math.max(1, ids.length)];
        if (known !== undefined && (map.size >= most || random.next().value % 3 === 0)) {
          map.delete(known);
          table.delete(known);
          table.delete(known);
        } else {
          const entry = { id };
          map.set(id, entry);
          table.add(entry);
          id += 2 * (1 + (random.next().value % 40));
        }
        assert.equal(table.size, map.size);
        for (const one of [1, id, id - 2, ...ids]) assert.equal(table.get(one), map.get(one));
      }
      assert.deepEqual(
        [...table].map((entry) => entry.id).sort((a, b) => a - b),
        [...map.keys()],
      );
    }
  });

  it("can be changed while it is listed", () => {
    const table = new StreamTable<Entry>();
    for (let id = 1; id < 2000; id += 2) table.add({ id });
    let listed = 0;
    for (const { id } of table) {
      table.delete(id);
      listed += 1;
    }
    assert.deepEqual([listed, table.size, [...table]], [1000, 0, []]);
  });
});

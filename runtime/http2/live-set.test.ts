import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LiveSet } from "./live-set.ts";

const member = (name: string) => ({ name, place: -1 });

describe("the set of what lives as long as a request", () => {
  it("holds each member once, until it is deleted, in whatever order", () => {
    const all = Array.from({ length: 9 }, (_, at) => member(String(at)));
    const set = new LiveSet<(typeof all)[number]>();
    for (const one of [...all, ...all]) set.add(one);
    assert.equal(set.size, 9);
    for (const at of [0, 4, 8, 4, 7]) set.delete(all[at] ?? member(""));
    assert.equal(
      [...set]
        .map(({ name }) => name)
        .sort()
        .join(""),
      "12356",
    );
    for (const one of set) set.delete(one);
    assert.deepEqual([set.size, all.every(({ place }) => place === -1)], [0, true]);
    set.delete(member("never in it"));
    const [first = member("")] = all;
    set.add(first);
    assert.deepEqual([...set], [first]);
  });
});

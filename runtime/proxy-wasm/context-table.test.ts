import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextTable } from "./context-table.ts";

describe("a table of contexts", () => {
  it("finds each by the id it gave it, until it is deleted", () => {
    const table = new ContextTable<string>();
    const ids = Array.from({ length: 1000 }, (_, at) => table.add(`c${at}`));
    assert.equal(ids[0], 1);
    assert.equal(new Set(ids).size, 1000);
    for (const [at, id] of ids.entries()) if (at % 3 !== 0) table.delete(id);
    for (const [at, id] of ids.entries()) assert.equal(table.get(id), at % 3 === 0 ? `c${at}` : undefined);
    assert.equal(table.all.length, 334);
  });

  it("gives no id of a context that is still there, however many came since", () => {
    const table = new ContextTable<string>();
    const kept = table.add("kept");
    for (let at = 0; at < 10_000; at += 1) {
      const id = table.add("other");
      assert.notEqual(id, kept);
      table.delete(id);
    }
    assert.equal(table.get(kept), "kept");
    assert.equal(kept, 1);
    assert.equal(table.get(0), undefined);
    assert.equal(table.get(kept + 64), undefined);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SharedDataStore } from "./shared-data.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const open = () => new SharedDataStore().of({ name: "orders", vmId: "" });

describe("shared data", () => {
  it("gives back what was written, and undefined for what was not", () => {
    const data = open();
    assert.equal(data.get("key"), undefined);
    assert.equal(data.set("key", bytes("value"), 0), true);
    assert.deepEqual(data.get("key")?.value, bytes("value"));
  });

  it("keeps its own copy of a value", () => {
    const data = open();
    const value = bytes("value");
    data.set("key", value, 0);
    value.fill(0);
    assert.deepEqual(data.get("key")?.value, bytes("value"));
  });

  it("writes only when the cas is current, missing or 0, and changes it with every write", () => {
    const data = open();
    assert.equal(data.set("key", bytes("a"), 77), true, "a missing key takes any");
    const first = data.get("key")?.cas ?? assert.fail();
    assert.notEqual(first, 0);
    assert.equal(data.set("key", bytes("b"), first), true);
    assert.notEqual(data.get("key")?.cas, first);
    assert.equal(data.set("key", bytes("c"), first), false);
    assert.deepEqual(data.get("key")?.value, bytes("b"));
    assert.equal(data.set("key", bytes("d"), 0), true);
  });

  it("does not take the cas of a key that was removed for one of its successor", () => {
    const data = open();
    data.set("key", bytes("a"), 0);
    const removed = data.get("key")?.cas ?? assert.fail();
    assert.equal(data.set("key", undefined, 0), true);
    assert.equal(data.get("key"), undefined);
    data.set("key", bytes("b"), 0);
    assert.equal(data.set("key", bytes("c"), removed), false);
  });

  it("is one for all plugins of a VM id, and private to a plugin without one", () => {
    const store = new SharedDataStore();
    store.of({ name: "a", vmId: "shared" }).set("key", bytes("value"), 0);
    assert.ok(store.of({ name: "b", vmId: "shared" }).get("key"));
    assert.equal(store.of({ name: "shared", vmId: "" }).get("key"), undefined);
    store.of({ name: "a", vmId: "" }).set("own", bytes("value"), 0);
    assert.equal(store.of({ name: "b", vmId: "a" }).get("own"), undefined);
    assert.ok(store.of({ name: "a", vmId: "" }).get("own"));
  });

  it("has a limit that overwriting and removing give back to", () => {
    const data = new SharedDataStore({ maxBytesPerVm: 1_000 }).of({ name: "orders", vmId: "" });
    const large = new Uint8Array(900);
    data.set("key", large, 0);
    data.set("key", large, 0);
    assert.throws(() => data.set("other", large, 0), RangeError);
    assert.equal(data.get("other"), undefined);
    data.set("key", undefined, 0);
    assert.equal(data.set("other", large, 0), true);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { type OpenedStore, storeSet } from "./stores.ts";

const opened = (name: string): OpenedStore<string> => ({
  name,
  type: "memory",
  store: name,
  capabilities: new Set(),
  keyPrefix: "",
});

test("an unknown name is an invalid argument that names those that exist", () => {
  const stores = storeSet("state", new Map([opened("orders"), opened("cache")].map((one) => [one.name, one])));
  assert.equal(stores.find("orders").store, "orders");
  assert.throws(() => stores.find("order"), {
    code: "INVALID_ARGUMENT",
    reason: "STATE_STORE_NOT_FOUND",
    message: "state store 'order' is not configured; configured: cache, orders",
  });
});

test("the reason of a binding and of a pub/sub component does not call it a store", () => {
  const found = (kind: "binding" | "pubsub") => storeSet(kind, new Map([["a", opened("a")]])).find("b");
  assert.throws(() => found("binding"), { reason: "BINDING_NOT_FOUND" });
  assert.throws(() => found("pubsub"), { reason: "PUBSUB_NOT_FOUND" });
  assert.throws(() => storeSet("binding", new Map()).find("b"), { reason: "BINDING_NOT_CONFIGURED" });
});

test("without any store of the kind the precondition fails and says where to add one", () => {
  assert.throws(() => storeSet("lock", new Map()).find("jobs"), {
    code: "FAILED_PRECONDITION",
    reason: "LOCK_STORE_NOT_CONFIGURED",
    message: "no lock store is configured; add one under components.lock",
  });
});

test("a lookup sees what was opened and closed since the last one", () => {
  const map = new Map<string, OpenedStore<string>>();
  const stores = storeSet("pubsub", map);
  map.set("events", opened("events"));
  assert.equal(stores.find("events").name, "events");
  map.delete("events");
  assert.throws(() => stores.find("events"), { code: "FAILED_PRECONDITION" });
});

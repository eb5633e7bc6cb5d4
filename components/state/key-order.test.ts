import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyOrder } from "./key-order.ts";

const keysFrom = (order: KeyOrder, place: number): string[] => Array.from(order.from(place), ([key]) => key);

test("keys come in the order in which they were added, without those that have gone", () => {
  const order = new KeyOrder();
  const places = ["a", "b", "c", "d"].map((key) => order.add(key));
  order.remove(places[1] ?? -1);
  assert.deepEqual(keysFrom(order, 0), ["a", "c", "d"]);
  assert.deepEqual(keysFrom(order, places[1] ?? -1), ["c", "d"]);
  order.add("b");
  assert.deepEqual(keysFrom(order, places[3] ?? -1), ["d", "b"]);
  assert.deepEqual(keysFrom(order, 100), []);
});

test("a place stays what it was when the holes before it are closed, and is not given again", () => {
  const order = new KeyOrder();
  const places = Array.from({ length: 10_000 }, (_, index) => order.add(`k${index}`));
  for (const place of places.slice(0, 9_990)) order.remove(place);
  for (const place of places.slice(0, 10)) order.remove(place);
  assert.deepEqual(keysFrom(order, places[9_995] ?? -1), ["k9995", "k9996", "k9997", "k9998", "k9999"]);
  assert.equal(keysFrom(order, 0).length, 10);
  assert.equal(order.add("next"), 10_000);
  order.clear();
  assert.deepEqual(keysFrom(order, 0), []);
  assert.equal(order.add("again"), 10_001);
});

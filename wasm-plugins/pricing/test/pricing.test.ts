import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { runtime } from "../../kit/fakes/runtime.ts";
import { events, handler, schedules } from "../src/pricing.ts";

beforeEach(() => {
  runtime.reset();
  const settings = runtime.settings("settings");
  settings.set("rates", '{"USD":1.08,"bad":"x"}');
  settings.set("discounts", '{"SPRING":10}');
});

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function send(method: string, path: string, body?: unknown) {
  const data = body === undefined ? new Uint8Array() : encode(body);
  const head = { method, path, scheme: "http", authority: "localhost", headers: [] };
  const answer = handler.handle({ ...head, body: data });
  return { status: answer.status, body: JSON.parse(new TextDecoder().decode(answer.body)), headers: answer.headers };
}

function publish(data: Uint8Array): string {
  const [id, pubsub, topic, source, type, contentType] = ["1", "events", "price-changes", "", "", "application/json"];
  return events.onEvent({ id, pubsub, topic, source, type, contentType, data, extensions: [] });
}

describe("pricing", () => {
  it("quotes in a currency, with a discount, and keeps the quote", () => {
    assert.deepEqual(send("PUT", "/pricing/apple", { amount: 250 }).body, { sku: "apple", amount: 250 });
    const { status, body, headers } = send("GET", "/pricing/apple?quantity=3&currency=USD&code=SPRING");
    assert.equal(status, 200);
    const { id, ...quote } = body;
    assert.deepEqual(quote, {
      sku: "apple",
      quantity: 3,
      currency: "USD",
      unit: 270,
      total: 729,
      discountPercent: 10,
    });
    assert.deepEqual(send("GET", `/pricing/quotes/${id}`).body, body);
    assert.ok(headers.some(([name]) => name === "x-pricing-version"));
  });

  it("takes what operators set with the next request", () => {
    send("PUT", "/pricing/apple", { amount: 100 });
    assert.equal(send("GET", "/pricing/apple").body.currency, "EUR");
    runtime.settings("settings").set("currency", "CHF").set("rates", "not JSON");
    assert.equal(send("GET", "/pricing/apple").body.currency, "CHF");
    assert.match(send("GET", "/pricing/apple?currency=USD").body.error, /no prices in 'USD'; expected CHF$/);
  });

  it("says what is wrong with a question", () => {
    send("PUT", "/pricing/apple", { amount: 100 });
    for (const [method, path, status] of [
      ["GET", "/pricing/pear", 404],
      ["GET", "/pricing/quotes/none", 404],
      ["GET", "/pricing/", 404],
      ["GET", "/pricing/a/b/c", 404],
      ["GET", "/pricing/%zz", 400],
      ["GET", "/pricing/apple?quantity=0", 400],
      ["GET", "/pricing/apple?quantity=1.5", 400],
      ["GET", "/pricing/apple?currency=bad", 400],
      ["GET", "/pricing/apple?code=AUTUMN", 400],
      ["DELETE", "/pricing/apple", 405],
      ["PUT", "/pricing/apple", 400],
    ] as const)
      assert.equal(send(method, path).status, status, `${method} ${path}`);
    for (const amount of [-1, 1.5, "1", null]) assert.equal(send("PUT", "/pricing/apple", { amount }).status, 400);
  });

  it("takes changes of prices from its topic, and drops what is none", () => {
    assert.equal(publish(encode({ sku: "pear", amount: 80 })), "success");
    assert.equal(send("GET", "/pricing/pear").body.total, 80);
    assert.equal(publish(new TextEncoder().encode("no JSON")), "drop");
    assert.equal(publish(encode({ sku: "pear" })), "drop");
    runtime.failure = { tag: "unavailable", val: "the store is away" };
    assert.equal(publish(encode({ sku: "pear", amount: 90 })), "retry");
  });

  it("tells by the clock how many quotes there were", () => {
    send("PUT", "/pricing/apple", { amount: 100 });
    send("GET", "/pricing/apple");
    send("GET", "/pricing/apple?quantity=2");
    const said: string[] = [];
    const { info } = console;
    console.info = (line: string) => void said.push(line);
    schedules.onSchedule({ schedule: "summary", dueMs: 0, contentType: "", data: new Uint8Array() });
    console.info = info;
    assert.deepEqual(said, ["summary: 2 quotes so far"]);
  });

  it("says that the prices cannot be reached when they cannot", () => {
    runtime.failure = { tag: "unavailable", val: "the store is away" };
    assert.equal(send("GET", "/pricing/apple").status, 503);
    runtime.failure = { tag: "permission-denied", val: "the store was not granted" };
    assert.equal(send("GET", "/pricing/apple").status, 500);
  });
});

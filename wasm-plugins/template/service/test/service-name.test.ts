import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Request } from "outrigger:runtime/http@0.1.0";
import { runtime } from "../kit/fakes/runtime.ts";
import { handler } from "../src/service-name.ts";

beforeEach(() => runtime.reset());

const ask = (path: string, method = "GET"): { status: number; body: unknown } => {
  const head = { method, path, scheme: "http", authority: "localhost", headers: [] };
  const { status, body } = handler.handle({ ...head, body: new Uint8Array() } satisfies Request);
  return { status, body: JSON.parse(new TextDecoder().decode(body)) };
};

test("greets, and counts how often", () => {
  assert.deepEqual(ask("/?name=Ada"), { status: 200, body: { greeting: "hello Ada", times: 1 } });
  assert.deepEqual(ask("/?name=Ada"), { status: 200, body: { greeting: "hello Ada", times: 2 } });
  assert.deepEqual(ask("/"), { status: 200, body: { greeting: "hello stranger", times: 1 } });
});

test("counts in the store of its configuration", () => {
  runtime.configuration = { store: "elsewhere" };
  ask("/?name=Ada");
  assert.deepEqual([...runtime.state("elsewhere").keys()], ["greeted/Ada"]);
});

test("says so when there is no count", () => {
  runtime.failure = { tag: "unavailable", val: "the store is away" };
  assert.equal(ask("/").status, 503);
});

test("logs what it did not expect, and answers 500", () => {
  runtime.failure = { tag: "permission-denied", val: "the store was not granted" };
  assert.equal(ask("/").status, 500);
});

test("takes no other method", () => {
  assert.equal(ask("/", "DELETE").status, 405);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestIds } from "./request-ids.ts";

test("ids of requests look like a UUID and never come twice, whoever makes them", () => {
  const makers = [new RequestIds(), new RequestIds()];
  const ids = makers.flatMap((maker) => Array.from({ length: 1000 }, () => maker.next()));
  assert.equal(new Set(ids).size, 2000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});

import assert from "node:assert/strict";
import { readFile } from "node:fs";
import { test } from "node:test";
import { turn } from "./turn.ts";

test("a turn lets a timer that is due go first, also when a file's callback asks for it", async () => {
  const seen = await new Promise<string[]>((resolve, reject) => {
    readFile(import.meta.filename, () => {
      const seen: string[] = [];
      setTimeout(() => seen.push("timer"), 1);
      const end = performance.now() + 3;
      while (performance.now() < end);
      turn().then(() => resolve([...seen, "turn"]), reject);
    });
  });
  assert.deepEqual(seen, ["timer", "turn"]);
});

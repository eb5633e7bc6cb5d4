import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClientPatience } from "./client-patience.ts";

describe("the patience with a client", () => {
  it("ends when it was waited for ten deadlines in all, byte by byte", () => {
    const patience = new ClientPatience(1_000, 0);
    let now = 0;
    let bytes = 0;
    while (patience.allows(1, now)) {
      now += 999;
      bytes++;
    }
    assert.deepEqual([bytes, now], [11, 10_989]);
  });

  it("lasts as long as 500 bytes come in a second", () => {
    const patience = new ClientPatience(1_000, 0);
    for (let now = 1_000; now < 3_600_000; now += 1_000) assert.ok(patience.allows(500, now));
  });

  it("does not count what the client is not waited for", () => {
    const patience = new ClientPatience(1_000, 0);
    for (let now = 0; now < 3_600_000; now += 1_000) {
      patience.excuse(now);
      assert.ok(patience.allows(0, now + 1));
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Outcome } from "outrigger:runtime/events@0.1.0";
import { taking, ticking } from "./deliveries.ts";

const event = {
  id: "1",
  pubsub: "events",
  topic: "orders",
  source: "",
  type: "",
  contentType: "",
  data: new Uint8Array(),
  extensions: [],
};
const tick = { schedule: "report", dueMs: 0, contentType: "", data: new Uint8Array() };

const refused = (): Error =>
  Object.assign(new Error("[object Object] (see error.payload)"), {
    payload: { tag: "permission-denied", val: "the store was not granted" },
  });

describe("an event", () => {
  it("comes to what its taker says", () => {
    for (const outcome of ["success", "retry", "drop"] as const) assert.equal(taking(() => outcome)(event), outcome);
  });

  it("comes again when its taker throws, or says nothing of use, and the log has why", ({ mock }) => {
    const error = mock.method(console, "error", () => {});
    const thrown = refused();
    const taken = taking(() => {
      throw thrown;
    });
    assert.equal(taken(event), "retry");
    assert.equal(taking(() => "odd" as unknown as Outcome)(event), "retry");
    assert.deepEqual(
      error.mock.calls.map(({ arguments: said }) => said),
      [
        ["an event of 'orders' failed:", thrown],
        ["an event of 'orders' came to", "odd", "where success, retry or drop is expected"],
      ],
    );
  });
});

describe("a tick", () => {
  it("fails with a text when what the clock calls throws, and the log has why", ({ mock }) => {
    const error = mock.method(console, "error", () => {});
    ticking(() => {})(tick);
    assert.equal(error.mock.callCount(), 0);
    const failing = ticking(() => {
      throw refused();
    });
    assert.throws(
      () => failing(tick),
      (thrown) => thrown === "permission-denied: the store was not granted",
    );
    assert.equal(error.mock.calls[0]?.arguments[0], "the schedule 'report' failed:");
  });
});

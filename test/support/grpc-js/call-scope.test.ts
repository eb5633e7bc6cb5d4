import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLog } from "../../../runtime/telemetry/log.ts";
import { CallScope } from "./call-scope.ts";

const scopeUntil = (deadlineMs: number | undefined): CallScope =>
  new CallScope({
    deadlineMs,
    peerAddress: "test",
    metadata: [["traceparent", "00-1"]],
    sendMetadata: () => undefined,
    appId: "app",
    log: createLog({ level: "silent" }),
  });
const never = <T>(): Promise<T> => new Promise(() => undefined);

describe("the scope of a call", () => {
  it("ends at the deadline whatever its work does, and tells the signal why", async () => {
    using scope = scopeUntil(Date.now() + 5);
    await assert.rejects(scope.race(never()), { code: "DEADLINE_EXCEEDED" });
    assert.equal(scope.context.signal.reason.code, "DEADLINE_EXCEEDED");
    await assert.rejects(scope.race(never()), { code: "DEADLINE_EXCEEDED" });
  });

  it("takes a cancellation at the deadline for the deadline, and an earlier one for the caller's", async () => {
    using late = scopeUntil(Date.now());
    late.cancel();
    assert.equal(late.context.signal.reason.code, "DEADLINE_EXCEEDED");
    using early = scopeUntil(Date.now() + 60_000);
    early.cancel();
    assert.equal(early.context.signal.reason.code, "CANCELLED");
    using unlimited = scopeUntil(undefined);
    unlimited.cancel();
    assert.equal(unlimited.context.signal.reason.code, "CANCELLED");
  });

  it("lets nothing wait, and aborts nothing, once it was answered", async () => {
    const scope = scopeUntil(Date.now() + 60_000);
    const waiting = assert.rejects(scope.race(never()), { reason: "CALL_ENDED" });
    assert.equal(await scope.race(Promise.resolve("answer")), "answer");
    scope[Symbol.dispose]();
    await waiting;
    scope.cancel();
    assert.equal(scope.context.signal.aborted, false);
    assert.throws(() => scope.throwIfOver(), { reason: "CALL_ENDED" });
    await assert.rejects(scope.race(never()), { reason: "CALL_ENDED" });
  });

  it("takes a deadline that no timer can for none", () => {
    using scope = scopeUntil(Date.now() + 2 ** 40);
    assert.equal(scope.context.signal.aborted, false);
    assert.equal(scope.context.traceparent, "00-1");
  });
});

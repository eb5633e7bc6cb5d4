import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError } from "../../components/error.ts";
import { ErrorInfo, Status } from "../../proto/gen/google/rpc/status.ts";
import { asRuntimeError, errorCodeOf, failedStatus } from "./status.ts";

describe("the status of a failed call", () => {
  it("tells a RuntimeError as it is, with reason and details for machines", () => {
    const error = new RuntimeError("ABORTED", "ETAG_MISMATCH", "key 'k' was written", { details: { key: "k" } });
    const { code, message, details } = failedStatus(error);
    assert.deepEqual([code, message], [10, "key 'k' was written"]);
    const [any] = Status.decode(details).details;
    const info = ErrorInfo.decode(any?.value ?? new Uint8Array());
    assert.deepEqual(info, { reason: "ETAG_MISMATCH", domain: "outrigger", metadata: { key: "k" } });
  });

  it("gives nothing away of what was not meant for the caller", () => {
    const { code, message } = failedStatus(new Error("password=hunter2"));
    assert.equal(code, 13);
    assert.doesNotMatch(message, /hunter2/);
    assert.equal(asRuntimeError(new DOMException("", "AbortError")).code, "CANCELLED");
    assert.equal(asRuntimeError(new DOMException("", "TimeoutError")).code, "DEADLINE_EXCEEDED");
  });

  it("shortens a message to what fits a trailer, at a whole character", () => {
    for (const text of ["ä€", "in plain words, ", "😀", "%"]) {
      const { message } = failedStatus(new RuntimeError("INTERNAL", "X", text.repeat(2000)));
      assert.ok(encodeURI(message).length <= 2048);
      assert.ok(encodeURI(message).length > 2000);
      assert.ok(text.repeat(2000).startsWith(message.slice(0, -3)) && message.endsWith("..."));
    }
  });

  it("can be sent whatever the message holds", () => {
    const { message, details } = failedStatus(new RuntimeError("INTERNAL", "X", "cut \ud83d"));
    assert.equal(message, "cut \ufffd");
    assert.equal(Status.decode(details).message, message);
  });

  it("names codes by number, and an unknown number UNKNOWN", () => {
    assert.deepEqual([0, 5, 16, 99].map(errorCodeOf), ["OK", "NOT_FOUND", "UNAUTHENTICATED", "UNKNOWN"]);
  });
});

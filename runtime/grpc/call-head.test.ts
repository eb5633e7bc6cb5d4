import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HeaderBlock } from "../http2/header-block.ts";
import { CallHeads, timeoutText } from "./call-head.ts";
import { parseTimeout } from "./grpc-timeout.ts";

const fieldsOf = ({ flat }: HeaderBlock): Record<string, string> =>
  Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ""]] : [])));

describe("the head of a call", () => {
  it("says what gRPC asks for, and the caller's metadata but not what gRPC writes itself", () => {
    const heads = new CallHeads("https", "billing:443");
    const metadata = [
      ["X-Tenant", "t1"],
      ["grpc-timeout", "1n"],
      ["te", "gzip"],
    ] as const;
    assert.deepEqual(fieldsOf(heads.of("/shop.Billing/Charge", 1500, metadata)), {
      ":method": "POST",
      ":scheme": "https",
      ":path": "/shop.Billing/Charge",
      ":authority": "billing:443",
      te: "trailers",
      "content-type": "application/grpc",
      "user-agent": "grpc-outrigger",
      "grpc-accept-encoding": "identity,deflate,gzip",
      "grpc-timeout": "1500m",
      "x-tenant": "t1",
    });
    assert.throws(() => heads.of("/a.B/C", undefined, [["x", "\n"]]), { code: "INVALID_ARGUMENT" });
  });

  it("is made once for calls that say the same", () => {
    const heads = new CallHeads("http", "a:1");
    assert.equal(heads.of("/a.B/C", undefined, []), heads.of("/a.B/C", undefined, []));
    heads.of("/a.B/C", 5000, []);
    const timed = heads.of("/a.B/C", 5000, []);
    assert.equal(heads.of("/a.B/C", 5000, []), timed);
    assert.equal(fieldsOf(timed)["grpc-timeout"], "5000m");
    assert.equal(fieldsOf(heads.of("/a.B/C", 4999, []))["grpc-timeout"], "4999m");
    assert.equal(fieldsOf(heads.of("/a.B/C", undefined, [["x", "y"]]))["grpc-timeout"], undefined);
    for (let at = 0; at < 1000; at += 1) heads.of(`/a.B/C${at}`, undefined, []);
    assert.equal(fieldsOf(heads.of("/a.B/C", 5000, []))[":path"], "/a.B/C");
  });

  it("tells times of any length in 8 digits, never a shorter one", () => {
    assert.equal(timeoutText(0.2), "1m");
    assert.equal(timeoutText(99_999_999), "99999999m");
    for (const ms of [1, 20.5, 1e6, 1e8, 123_456_789_012, 1e13]) {
      const read = parseTimeout(timeoutText(ms)) ?? 0;
      assert.ok(read >= ms && read < ms * 1.01 + 1, `${ms} became ${read}`);
    }
    assert.equal(timeoutText(Number.MAX_VALUE), "99999999H");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderBlock } from "../header-block.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";

const base = HeaderBlock.of(":method", "POST", ":path", "/a.B/C", "user-agent", "test", "authorization", "secret");

describe("a block that extends another", () => {
  it("is read as both one behind the other, however often and in between others", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder({ maxTableBytes: 4096, maxHeaderListBytes: 65_536, maxHeaderFields: 100 });
    for (let at = 0; at < 10; at += 1) {
      const extended = HeaderBlock.extending(base, "x-request-id", `id-${at}`, "cookie", "a=b");
      const bytes = Buffer.from(encoder.encode(extended));
      assert.deepEqual(decoder.decode(bytes, 0, bytes.length)?.flat, extended.flat);
      const other = Buffer.from(encoder.encode(HeaderBlock.of(":method", "GET", "a", String(at % 3))));
      assert.deepEqual(decoder.decode(other, 0, other.length)?.flat, [":method", "GET", "a", String(at % 3)]);
    }
  });

  it("may be longer than any before", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder({ maxTableBytes: 4096, maxHeaderListBytes: 1_000_000, maxHeaderFields: 100 });
    const long = HeaderBlock.of(":method", "GET", "x-long", "y".repeat(40_000));
    const extended = HeaderBlock.extending(long, "x-request-id", "z".repeat(90_000));
    const bytes = encoder.encode(extended);
    assert.deepEqual(decoder.decode(bytes, 0, bytes.length)?.flat, extended.flat);
  });
});

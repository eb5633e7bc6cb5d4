import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderBlock } from "../http2/header-block.ts";
import { passedHead, passedTrailers } from "./forwarded-sections.ts";

describe("a section that is forwarded", () => {
  it("stays the same block when nothing in it belonged to its connection", () => {
    const head = HeaderBlock.of(":status", "200", "content-type", "application/grpc");
    assert.deepEqual([passedHead(head).block, passedHead(head).status, passedHead(head).isInterim], [head, 200, false]);
    assert.equal(passedHead(HeaderBlock.of(":status", "103", "link", "a")).isInterim, true);
    const trailers = HeaderBlock.of("grpc-status", "0");
    assert.equal(passedTrailers(trailers), trailers);
  });

  it("loses what belonged to its connection, and what trailers may not say, the same way each time", () => {
    const head = HeaderBlock.of(":status", "200", "te", "trailers", "trailer", "x", "a", "b");
    assert.deepEqual(passedHead(head).block.flat, [":status", "200", "a", "b"]);
    assert.equal(passedHead(head).block, passedHead(head).block);
    const trailers = new HeaderBlock(["grpc-status", "0", "content-length", "5", "secret", "1"], ["secret"]);
    assert.deepEqual(passedTrailers(trailers).flat, ["grpc-status", "0", "secret", "1"]);
    assert.deepEqual(passedTrailers(trailers).sensitive, ["secret"]);
    assert.equal(passedTrailers(trailers), passedTrailers(trailers));
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderBlock } from "../http2/header-block.ts";
import { RequestHead } from "./request-head.ts";

const base = [":method", "POST", ":scheme", "http", ":path", "/a.B/C", "te", "trailers"];
const headOf = (...more: string[]): RequestHead =>
  RequestHead.of(HeaderBlock.of(...base, "content-type", "application/grpc", ...more));

describe("the head of a request", () => {
  it("is read for what gRPC needs, and once for equal heads", () => {
    const block = HeaderBlock.of(...base, "content-type", "application/grpc+proto", "grpc-timeout", "5S");
    const head = RequestHead.of(block);
    assert.deepEqual(
      [head.path, head.isPost, head.isGrpc, head.timeoutMs, head.encoding, head.fault],
      ["/a.B/C", true, true, 5000, "identity", undefined],
    );
    assert.equal(RequestHead.of(block), head);
    assert.equal(headOf().timeoutMs, -1);
  });

  it("has a fault when its timeout or its encoding is none", () => {
    assert.equal(headOf("grpc-timeout", "soon").fault?.code, "INTERNAL");
    assert.equal(headOf("grpc-encoding", "br").fault?.code, "UNIMPLEMENTED");
    assert.equal(headOf("grpc-encoding", "gzip").encoding, "gzip");
  });

  it("gives the metadata without what belongs to the protocol, and the trace", () => {
    const head = headOf("grpc-timeout", "1S", "x-a", "1", "x-a", "2", "traceparent", "00-1", "x-b-bin", "AQ,AQI");
    assert.deepEqual(head.metadata, [
      ["x-a", "1"],
      ["x-a", "2"],
      ["traceparent", "00-1"],
      ["x-b-bin", "AQ=="],
      ["x-b-bin", "AQI="],
    ]);
    assert.equal(head.metadata, head.metadata);
    assert.equal(head.traceparent, "00-1");
    assert.equal(headOf().traceparent, undefined);
  });
});

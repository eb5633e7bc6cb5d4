import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ResponseSink } from "./exchange.ts";
import { PluginAnswer } from "./plugin-answer.ts";

/** An answer, and what of it would be sent, a line for each part. */
function answering(method = "GET") {
  const sent: string[] = [];
  const response: ResponseSink = {
    head: (headers, ends) => {
      const fields = headers.entries().map(([name, value]) => `${name}=${value}`);
      sent.push(`head ${fields.join(" ")}${ends ? " end" : ""}`);
    },
    data: (chunk, ends) => sent.push(`data ${Buffer.from(chunk).toString()}${ends ? " end" : ""}`),
    trailers: (trailers) => sent.push(`trailers ${trailers.entries().join(" ")}`),
    reset: ({ status, message }) => sent.push(`reset ${status} ${message}`),
    pause: () => undefined,
    resume: () => undefined,
  };
  return { answer: new PluginAnswer(response, method), sent };
}

const ok = [":status", "200"] as const;
const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("an answer of a plugin, piece by piece", () => {
  it("goes on as it comes, without what belongs to the connection", () => {
    const { answer, sent } = answering();
    answer.head([ok, ["Transfer-Encoding", "chunked"], ["X-A", "1"], [":path", "/"]], false);
    answer.data(bytes("one"), false);
    answer.data(bytes(""), false);
    assert.equal(answer.isOver, false);
    answer.data(bytes("two"), true);
    assert.equal(answer.isOver, true);
    answer.data(bytes("more"), true);
    answer.trailers([["x-t", "1"]]);
    answer.reset("too late");
    assert.deepEqual(sent, ["head :status=200 x-a=1", "data one", "data two end"]);
  });

  it("ends with trailers, unless nothing of them may be sent", () => {
    const { answer, sent } = answering();
    answer.head([ok], false);
    answer.trailers([["Grpc-Status", "0"]]);
    assert.deepEqual(sent, ["head :status=200", "trailers grpc-status,0"]);
    const without = answering();
    without.answer.head([ok], false);
    without.answer.trailers([["content-length", "3"]]);
    assert.deepEqual(without.sent, ["head :status=200", "data  end"]);
  });

  it("has no body where there may be none", () => {
    for (const [method, status] of [
      ["HEAD", "200"],
      ["GET", "204"],
      ["GET", "304"],
    ] as const) {
      const { answer, sent } = answering(method);
      answer.head([[":status", status]], false);
      answer.data(bytes("unsent"), true);
      assert.deepEqual(sent, [`head :status=${status} end`]);
    }
  });

  it("keeps the length that an answer to HEAD declares, and leaves it out of a 204", () => {
    const head = answering("HEAD");
    head.answer.head([ok, ["content-length", "12"]], true);
    assert.deepEqual(head.sent, ["head :status=200 content-length=12 end"]);
    const empty = answering();
    empty.answer.head(
      [
        [":status", "204"],
        ["content-length", "0"],
      ],
      true,
    );
    assert.deepEqual(empty.sent, ["head :status=204 end"]);
  });

  it("declares a length of nothing when it has no body", () => {
    const { answer, sent } = answering();
    answer.head([ok], true);
    assert.deepEqual(sent, ["head :status=200 content-length=0 end"]);
  });

  it("is broken off when its body is not as long as it declares", () => {
    const long = answering();
    long.answer.head([ok, ["content-length", "3"]], false);
    long.answer.data(bytes("four"), false);
    assert.deepEqual(long.sent.slice(1), ["reset 500 the plugin's response is longer than it declares"]);
    const short = answering();
    short.answer.head([ok, ["content-length", "3"]], false);
    short.answer.data(bytes("ab"), true);
    assert.deepEqual(short.sent.slice(1), ["reset 500 the plugin's response is 1 bytes shorter than it declares"]);
    const cut = answering();
    cut.answer.head([ok, ["content-length", "3"]], false);
    cut.answer.trailers([["x-t", "1"]]);
    assert.deepEqual(cut.sent.slice(1), ["reset 500 the plugin's response is 3 bytes shorter than it declares"]);
  });

  it("is given up for its client's sake with another status than for its own", () => {
    const { answer, sent } = answering();
    answer.head([ok], false);
    answer.giveUp("the client is slow");
    answer.data(bytes("more"), true);
    answer.reset("too late");
    assert.ok(answer.isOver);
    assert.deepEqual(sent.slice(1), ["reset 408 the client is slow"]);
  });

  it("refuses a head that is none, and takes another", () => {
    const { answer, sent } = answering();
    assert.throws(() => answer.head([[":status", "101"]], false), /^RangeError: its ':status' is not one/);
    assert.throws(() => answer.head([ok, ["x a", "1"]], false), /^RangeError: "x a" is not a field name/);
    assert.throws(() => answer.head([ok, ["x-a", "1\r\nx-b: 2"]], false), /^RangeError: the value of 'x-a'/);
    assert.throws(() => answer.head([ok, ["content-length", "-1"]], false), /^RangeError: its 'content-length'/);
    assert.throws(
      () => answer.head([ok, ["content-length", "2"]], true),
      /^RangeError: it has no body, and declares 2/,
    );
    answer.reset("it gave up");
    assert.deepEqual(sent, ["reset 500 it gave up"]);
  });
});

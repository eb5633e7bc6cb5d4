/** RFC 9113 from the client's side: what it sends, what it takes, and how it ends what breaks a rule. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errorCode } from "../../../runtime/http2/error-code.ts";
import { frameFlag, frameType } from "../../../runtime/http2/frame.ts";
import type { Http2Limits } from "../../../runtime/http2/stream-contract.ts";
import {
  data,
  endData,
  type Fields,
  frame,
  getFields,
  goAway,
  headers,
  literals,
  ping,
  rstStream,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from "../../support/http2-frames.ts";
import { clientRig } from "./client-rig.ts";
import { endings } from "./outcome.ts";

const ok: Fields = [[":status", "200"]];
const { END_HEADERS } = frameFlag;
const open = (streamId: number, fields: Fields = ok): Buffer => headers(streamId, fields, END_HEADERS);

/** A METADATA frame that is whole by itself: an extension that some proxies speak. */
const metadata = (streamId: number): Buffer => frame(0x4d, 0x4, streamId, literals([["x-note", "1"]]));

/** What a server answers to a GET on stream 1, and what the request hears or how it all ends. */
interface Answer {
  readonly name: string;
  readonly send: readonly Buffer[];
  readonly hears: readonly string[];
  /** GOAWAY and RST_STREAM of the client. */
  readonly ends?: readonly string[];
  readonly method?: string;
  readonly limits?: Partial<Http2Limits>;
}

function answers(list: readonly Answer[]): void {
  for (const { name, send, hears, ends = [], method = "GET", limits } of list) {
    it(name, async () => {
      await using rig = await clientRig(limits);
      const heard = rig.request("/", method);
      rig.server.send(...send);
      const frames = await rig.server.settle();
      assert.deepEqual(endings(frames), ends);
      assert.deepEqual(heard.events, hears);
      assert.equal(heard.stream.isOpen, false);
      assert.deepEqual(rig.errors, []);
      if (rig.server.isEnded) await rig.closed;
      else assert.equal(rig.client.activeStreams, 0);
    });
  }
}

const malformed = (name: string, fields: Fields): Answer => ({
  name,
  send: [headers(1, fields)],
  hears: ["fault protocol 1"],
  ends: ["RST_STREAM PROTOCOL_ERROR on 1"],
});
const broken = (name: string, code: keyof typeof errorCode, ...send: readonly Buffer[]): Answer => ({
  name,
  send,
  hears: ["fault connection 8"],
  ends: [`GOAWAY ${code}`],
});

describe("a response", () => {
  answers([
    { name: "may be a head alone", send: [headers(1, ok)], hears: ["headers 200 end"] },
    { name: "may have a body", send: [open(1), data(1), endData(1)], hears: ["headers 200", "data 4", "data 4 end"] },
    {
      name: "may have trailers",
      send: [open(1), data(1), headers(1, [["x-sum", "7"]])],
      hears: ["headers 200", "data 4", "trailers x-sum 7"],
    },
    {
      name: "may have trailers and no body",
      send: [open(1), headers(1, [["x-sum", "7"]])],
      hears: ["headers 200", "trailers x-sum 7"],
    },
    {
      name: "may come behind interim ones",
      send: [open(1, [[":status", "100"]]), open(1, [[":status", "103"]]), headers(1, ok)],
      hears: ["headers 100", "headers 103", "headers 200 end"],
    },
    {
      name: "to HEAD announces a body that does not come",
      method: "HEAD",
      send: [open(1, [...ok, ["content-length", "9"]]), endData(1, "")],
      hears: ["headers 200", "data 0 end"],
    },
    {
      name: "304 announces a body that does not come",
      send: [
        open(1, [
          [":status", "304"],
          ["content-length", "9"],
        ]),
        endData(1, ""),
      ],
      hears: ["headers 304", "data 0 end"],
    },
    {
      name: "may be cut off by the server",
      send: [open(1), data(1), rstStream(1, errorCode.INTERNAL_ERROR)],
      hears: ["headers 200", "data 4", "fault peer 2"],
    },
    {
      name: "may be refused, and nothing was done",
      send: [rstStream(1, errorCode.REFUSED_STREAM)],
      hears: ["fault peer 7 unprocessed"],
    },
    {
      name: "passes over METADATA before the head, in the body and before the end",
      send: [metadata(0), metadata(1), open(1), metadata(1), data(1), metadata(1), endData(1)],
      hears: ["headers 200", "data 4", "data 4 end"],
    },
    {
      name: "passes over frames of unknown types",
      send: [frame(0xbe, 0, 1), headers(1, ok)],
      hears: ["headers 200 end"],
    },
    malformed("has a status", [["x-a", "b"]]),
    malformed("has one status", [...ok, ...ok]),
    malformed("has a status of three digits", [[":status", "20"]]),
    malformed("is not 101", [[":status", "101"]]),
    malformed("has no pseudo-header fields of requests", [...ok, [":path", "/"]]),
    malformed("has pseudo-header fields first", [["x-a", "b"], ...ok]),
    malformed("has names in lower case", [...ok, ["X-A", "b"]]),
    malformed("has no fields of HTTP/1.1", [...ok, ["connection", "close"]]),
    malformed("has no line ends in values", [...ok, ["x-a", "b\r\nc: d"]]),
    malformed("that is interim does not end the stream", [[":status", "100"]]),
    {
      name: "has a head before its body",
      send: [data(1)],
      hears: ["fault protocol 1"],
      ends: ["RST_STREAM PROTOCOL_ERROR on 1"],
    },
    {
      name: "is as long as it says",
      send: [open(1, [...ok, ["content-length", "9"]]), endData(1)],
      hears: ["headers 200", "fault protocol 1"],
      ends: ["RST_STREAM PROTOCOL_ERROR on 1"],
    },
    {
      name: "has no larger head than allowed",
      limits: { maxHeaderListBytes: 200 },
      send: [headers(1, [...ok, ["x-a", "b".repeat(200)]])],
      hears: ["fault protocol 11"],
      ends: ["RST_STREAM ENHANCE_YOUR_CALM on 1"],
    },
    {
      name: "has one head",
      send: [open(1), open(1)],
      hears: ["headers 200", "fault protocol 1"],
      ends: ["RST_STREAM PROTOCOL_ERROR on 1"],
    },
    {
      name: "keeps to the window of the stream",
      limits: { streamWindowBytes: 10 },
      send: [open(1), data(1, "12345678901")],
      hears: ["headers 200", "fault protocol 3"],
      ends: ["RST_STREAM FLOW_CONTROL_ERROR on 1"],
    },
  ]);
});

describe("a server that breaks a rule of the connection", () => {
  const promise = frame(frameType.PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), literals(getFields)]));
  answers([
    broken("by PUSH_PROMISE", "PROTOCOL_ERROR", promise),
    broken("by enabling push", "PROTOCOL_ERROR", settings([2, 1])),
    broken("by a stream of its own", "PROTOCOL_ERROR", headers(2, ok)),
    broken("by a stream that was not begun", "PROTOCOL_ERROR", headers(3, ok)),
    broken("by DATA for a stream that was not begun", "PROTOCOL_ERROR", data(3)),
    broken("by RST_STREAM for a stream that was not begun", "PROTOCOL_ERROR", rstStream(5)),
    broken("by a window that overflows", "FLOW_CONTROL_ERROR", windowUpdate(0, 2 ** 31 - 1)),
    broken("by a head that cannot be decoded", "COMPRESSION_ERROR", headers(1, Buffer.of(0xff, 0xff))),
    broken("by a frame that is too long", "FRAME_SIZE_ERROR", frame(frameType.PING, 0, 0, Buffer.alloc(20_000))),
    {
      name: "by HEADERS for a stream that has ended",
      send: [headers(1, ok), headers(1, ok)],
      hears: ["headers 200 end"],
      ends: ["GOAWAY STREAM_CLOSED"],
    },
  ]);
});

describe("the client of a connection", () => {
  it("begins with the preface, SETTINGS without push, and its requests at once", async () => {
    await using rig = await clientRig({}, []);
    rig.request();
    const first = await rig.server.next();
    assert.equal(first.type, frameType.SETTINGS);
    const pairs = new Map<number, number>();
    for (let at = 0; at < first.payload.length; at += 6) {
      pairs.set(first.payload.readUInt16BE(at), first.payload.readUInt32BE(at + 2));
    }
    assert.equal(pairs.get(2), 0);
    const head = await rig.server.nextOf(frameType.HEADERS);
    assert.equal(head.streamId, 1);
    assert.deepEqual(rig.server.fields(head), [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "localhost"],
    ]);
  });

  it("takes no server that does not begin with SETTINGS", async () => {
    await using rig = await clientRig({}, []);
    rig.server.send(headers(1, ok));
    assert.deepEqual(endings(await rig.server.ended()), ["GOAWAY PROTOCOL_ERROR"]);
    assert.match((await rig.closed)?.message ?? "", /not SETTINGS/);
  });

  it("begins as many streams as the server allows, and says when it allows more", async () => {
    await using rig = await clientRig({}, [settings([3, 2]), settingsAck]);
    assert.equal(rig.available(), 1);
    const [first, second] = [rig.request(), rig.request()];
    assert.equal(rig.client.canRequest, false);
    assert.throws(() => rig.request(), RangeError);
    rig.server.send(headers(first.stream.id, ok));
    await rig.server.settle();
    assert.deepEqual([rig.available(), rig.client.canRequest], [2, true]);
    rig.request();
    rig.server.send(settings([3, 5]));
    await rig.server.settle();
    assert.deepEqual([rig.available(), rig.client.canRequest], [3, true]);
    rig.server.send(settings([3, 1]));
    await rig.server.settle();
    assert.equal(rig.client.canRequest, false);
    assert.equal(second.stream.isOpen, true);
  });

  it("behind GOAWAY ends what the server did not take, and lets the rest come", async () => {
    await using rig = await clientRig();
    const requests = [rig.request(), rig.request(), rig.request()];
    rig.server.send(goAway(2 ** 31 - 1), goAway(3));
    await rig.server.settle();
    assert.deepEqual([rig.client.isGoingAway, rig.client.canRequest, rig.client.activeStreams], [true, false, 2]);
    assert.deepEqual(
      requests.map(({ events }) => events),
      [[], [], ["fault connection 7 unprocessed"]],
    );
    rig.server.send(headers(1, ok), headers(3, ok));
    await rig.server.ended();
    assert.deepEqual(requests[1]?.events, ["headers 200 end"]);
    assert.equal(await rig.closed, undefined);
  });

  it("tells every stream when the connection is lost", async () => {
    await using rig = await clientRig();
    const request = rig.request();
    rig.server.socket.destroy();
    await rig.closed;
    assert.deepEqual(request.events, ["fault connection 8"]);
    assert.deepEqual([rig.client.isClosed, rig.client.canRequest], [true, false]);
  });

  it("drains: begins nothing more, and ends with its last stream", async () => {
    await using rig = await clientRig();
    const request = rig.request();
    rig.client.drain();
    assert.equal(rig.client.canRequest, false);
    rig.server.send(headers(1, ok));
    assert.deepEqual(endings(await rig.server.ended()), ["GOAWAY NO_ERROR"]);
    assert.deepEqual(request.events, ["headers 200 end"]);
    assert.equal(await rig.closed, undefined);
  });

  it("resets a stream alone when its receiver breaks", async () => {
    await using rig = await clientRig();
    rig.request();
    const other = rig.request();
    rig.server.send(headers(1, [...ok, ["x-throw", "1"]]), headers(3, ok));
    assert.deepEqual(endings(await rig.server.settle()), ["RST_STREAM INTERNAL_ERROR on 1"]);
    assert.equal(rig.errors.length, 1);
    assert.deepEqual(other.events, ["headers 200 end"]);
    assert.equal(rig.client.activeStreams, 0);
  });

  it("keeps what it sends within the server's windows, and says when all is gone", async () => {
    await using rig = await clientRig({}, [settings([4, 10]), settingsAck]);
    const request = rig.request("/", "POST", false);
    assert.equal(request.stream.sendData(Buffer.alloc(25), 0, 25, true), false);
    const lengths = async (): Promise<number[]> =>
      (await rig.server.settle()).filter(({ type }) => type === frameType.DATA).map(({ payload }) => payload.length);
    assert.deepEqual(await lengths(), [10]);
    rig.server.send(windowUpdate(1, 10));
    assert.deepEqual(await lengths(), [10]);
    rig.server.send(settings([4, 1]));
    assert.deepEqual(await lengths(), []);
    rig.server.send(settings([4, 15]));
    assert.deepEqual(await lengths(), [5]);
    assert.deepEqual(request.events, ["drained"]);
    rig.server.send(headers(1, ok));
    await rig.server.settle();
    assert.equal(request.stream.isOpen, false);
  });

  it("asks by PING while a stream is open, and gives the connection up without an answer", async () => {
    await using rig = await clientRig({ keepAliveMs: 20, keepAliveTimeoutMs: 20 });
    const request = rig.request();
    await rig.server.nextOf(frameType.PING);
    await rig.server.ended();
    assert.match((await rig.closed)?.message ?? "", /PING/);
    assert.equal(request.fault()?.origin, "connection");
  });

  it("answers PING with what it held", async () => {
    await using rig = await clientRig();
    rig.server.send(ping(0, Buffer.from("12345678")));
    const answer = await rig.server.nextOf(frameType.PING);
    assert.deepEqual([answer.flags, answer.payload.toString()], [frameFlag.ACK, "12345678"]);
  });

  it("gives up a server that sends interim responses without end", async () => {
    await using rig = await clientRig({ maxIdleFramesPerSecond: 50 });
    const request = rig.request();
    rig.server.send(...Array.from({ length: 60 }, () => open(1, [[":status", "100"]])));
    assert.deepEqual(endings(await rig.server.ended()), ["GOAWAY ENHANCE_YOUR_CALM"]);
    assert.equal(request.fault()?.origin, "connection");
  });

  it("gives up a server that never sends SETTINGS", async () => {
    await using rig = await clientRig({ settingsTimeoutMs: 20 }, []);
    assert.deepEqual(endings(await rig.server.ended()), ["GOAWAY SETTINGS_TIMEOUT"]);
    assert.match((await rig.closed)?.message ?? "", /not acknowledged/);
  });
});

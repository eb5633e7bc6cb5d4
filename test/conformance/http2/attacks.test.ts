/** What a hostile client may try, and how each ends: with the right code, in bounded memory, and others served as before. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { errorCode } from "../../../runtime/http2/error-code.ts";
import { frameFlag, frameType, preface } from "../../../runtime/http2/frame.ts";
import {
  continuation,
  data,
  endData,
  type Fields,
  type Frame,
  FramePeer,
  frame,
  getFields,
  goAway,
  headers,
  integer,
  literals,
  opening,
  openPost,
  ping,
  plainText,
  priority,
  rstStream,
  settings,
  settingsAck,
  windowUpdate,
} from "../../support/http2-frames.ts";
import { type AnsweringServer, answeringServer } from "./answering-server.ts";
import { assertServesOthers, type Case, cases, endings } from "./outcome.ts";

const pathFields = (path: string, method = "GET"): Fields => [
  [":method", method],
  [":scheme", "http"],
  [":path", path],
];
const most = 100;
const limits = { maxIdleFramesPerSecond: most };
const times = (count: number, make: (id: number) => readonly Buffer[]): Buffer[] =>
  Array.from({ length: count }, (_, at) => Buffer.concat(make(2 * at + 1)));

const isData = (one: Frame): boolean => one.type === frameType.DATA;
const bytesOf = (frames: readonly Frame[], streamId?: number): number =>
  frames
    .filter((one) => isData(one) && (streamId === undefined || one.streamId === streamId))
    .reduce((sum, { payload }) => sum + payload.length, 0);

describe("a flood", () => {
  // However the frames fall into seconds, one of them has too many.
  const more = 2 * most + 10;
  const flood = (name: string, send: readonly Buffer[]): Case => ({
    name: `of ${name} is asked to calm down`,
    limits,
    send,
    comes: { goAway: "ENHANCE_YOUR_CALM" },
  });
  const waiting = pathFields("/wait", "POST");
  const section = literals(getFields);
  cases([
    flood(
      "PING",
      times(more, () => [ping()]),
    ),
    flood(
      "answers to PING that was not sent",
      times(more, () => [ping(frameFlag.ACK)]),
    ),
    flood(
      "SETTINGS",
      times(more, () => [settings()]),
    ),
    flood(
      "acknowledgements of SETTINGS",
      times(more, () => [settingsAck]),
    ),
    flood(
      "PRIORITY",
      times(more, (id) => [priority(id)]),
    ),
    flood(
      "GOAWAY",
      times(more, () => [goAway(0)]),
    ),
    flood(
      "unknown frames",
      times(more, () => [frame(0xfa, 0, 0)]),
    ),
    flood("empty DATA", [openPost(1, waiting), ...times(more, () => [data(1, "")])]),
    flood("DATA of nothing but padding", [
      openPost(1, waiting),
      ...times(more, () => [data(1, Buffer.from([3, 0, 0, 0]), frameFlag.PADDED)]),
    ]),
    flood("WINDOW_UPDATE", [openPost(1, waiting), ...times(256 + 8 + more, () => [windowUpdate(1, 1)])]),
    flood("empty CONTINUATION", [headers(1, section, 0), ...times(more, () => [continuation(1, [], 0)])]),
    flood("small CONTINUATION", [headers(1, section, 0), ...times(more, () => [continuation(1, [["a", "b"]], 0)])]),
    flood("long CONTINUATION", [
      headers(1, section, 0),
      ...times(10, () => [continuation(1, [["a", "b".repeat(16_000)]], 0)]),
    ]),
    // CVE-2023-44487.
    flood(
      "requests that are reset at once",
      times(more, (id) => [headers(id, waiting), rstStream(id)]),
    ),
    // CVE-2025-8671: the client makes the server reset its streams.
    flood(
      "WINDOW_UPDATE of 0",
      times(more, (id) => [headers(id, waiting), windowUpdate(id, 0)]),
    ),
    flood(
      "windows that overflow",
      times(more, (id) => [headers(id, waiting), windowUpdate(id, 2 ** 31 - 1)]),
    ),
    flood(
      "DATA after the end",
      times(more, (id) => [headers(id, waiting), data(id)]),
    ),
    flood(
      "DATA for closed streams",
      times(more, (id) => [headers(id), data(id)]),
    ),
    flood(
      "HEADERS after the end",
      times(more, (id) => [headers(id, waiting), headers(id, waiting)]),
    ),
    flood(
      "streams that depend on themselves",
      times(more, (id) => [openPost(id, waiting), priority(id, id)]),
    ),
    flood(
      "PRIORITY that is too short",
      times(more, (id) => [headers(id, waiting), frame(2, 0, id, Buffer.alloc(4))]),
    ),
    flood(
      "bodies that are too long",
      times(more, (id) => [openPost(id, [...waiting, ["content-length", "1"]]), endData(id)]),
    ),
    flood(
      "malformed requests",
      times(more, (id) => [headers(id, [...getFields, ["Bad", "1"]])]),
    ),
    flood(
      "requests that are too large",
      times(more, (id) => [headers(id, [...getFields, ["a", "b".repeat(70_000 / 5)], ...huge()])]),
    ),
    {
      ...flood("requests beyond the number of streams", [
        headers(1, waiting),
        headers(3, waiting),
        ...times(more, (id) => [headers(id + 4, waiting)]),
      ]),
      limits: { ...limits, maxConcurrentStreams: 2 },
    },
  ]);
});

function huge(): Fields {
  return Array.from({ length: 300 }, () => ["a", ""] as const);
}

describe("a request head that is too large", () => {
  const answered431 = { answered: 1, status: "431" } as const;
  const big: Fields = [...getFields, ["x-big", "b".repeat(2000)]];
  cases([
    {
      name: "in octets is answered 431",
      limits: { maxHeaderListBytes: 1000 },
      send: [headers(1, big)],
      comes: answered431,
    },
    {
      name: "in fields is answered 431",
      limits: { maxHeaderFields: 20 },
      send: [headers(1, [...getFields, ...huge()])],
      comes: answered431,
    },
    {
      name: "before a body is answered 431, and the body is passed over",
      limits: { maxHeaderListBytes: 1000 },
      send: [openPost(1, big), data(1), endData(1)],
      comes: answered431,
    },
    {
      name: "in trailers resets the stream",
      limits: { maxHeaderListBytes: 1000 },
      send: [openPost(1), headers(1, [["x-big", "b".repeat(2000)]])],
      comes: { reset: "ENHANCE_YOUR_CALM", on: 1 },
    },
  ]);

  it("keeps the compression of later heads right", async () => {
    await using server = await answeringServer({ maxHeaderListBytes: 1000 });
    await using peer = await FramePeer.connect(server.port);
    const indexed = Buffer.concat([Buffer.of(0x40), plainText("x-kept"), plainText("yes")]);
    peer.send(headers(1, Buffer.concat([literals(big), indexed])));
    peer.send(headers(3, Buffer.concat([literals(getFields), Buffer.of(0xbe)])));
    await peer.settle();
    const [request] = server.requests;
    assert.equal(server.requests.length, 1);
    assert.equal(request?.stream.id, 3);
  });

  it("is not made by many references to one large entry of the table", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port);
    const entry = Buffer.concat([Buffer.of(0x40), plainText("x-bomb"), plainText("b".repeat(4000))]);
    peer.send(headers(1, Buffer.concat([literals(getFields), entry])));
    for (let id = 3; id < 23; id += 2) {
      peer.send(headers(id, Buffer.concat([literals(getFields), Buffer.alloc(16_000, 0xbe)])));
    }
    const frames = await peer.settle();
    const statuses = frames.filter((one) => one.type === frameType.HEADERS).map((one) => peer.fields(one)[0]?.[1]);
    assert.deepEqual(statuses, ["200", ...Array.from({ length: 10 }, () => "431")]);
    assert.equal(server.requests.length, 1);
  });

  it("is not made by changing the size of the table all the time", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port);
    const changes = Buffer.concat(
      Array.from({ length: 2000 }, () => Buffer.concat([Buffer.of(0x20), integer(0x20, 0x1f, 4096)])),
    );
    peer.send(headers(1, Buffer.concat([changes, literals(getFields)])));
    assert.deepEqual(endings(await peer.settle()), []);
  });
});

describe("a slow reader", () => {
  it("gets all of its answer through a window of one octet", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port);
    const size = 3000;
    peer.send(settings([4, 0]), headers(1, pathFields(`/big/${size}`)));
    assert.equal(bytesOf(await peer.settle()), 0);
    peer.send(...times(size, () => [windowUpdate(1, 1)]));
    const frames = await peer.settle();
    assert.equal(bytesOf(frames), size);
    assert.deepEqual(endings(frames), []);
    assert.equal(frames.filter(isData).at(-1)?.flags, frameFlag.END_STREAM);
    assert.equal(server.connections[0]?.activeStreams, 0);
  });

  it("cannot make one stream starve the others: each gets its turn however small the window is", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port);
    const streams = 500;
    peer.send(headers(1, pathFields("/big/65535")));
    assert.equal(bytesOf(await peer.settle()), 65_535);
    peer.send(...times(streams, (id) => [headers(id + 2, pathFields("/big/1000"))]));
    assert.equal(bytesOf(await peer.settle()), 0);
    peer.send(...times(2 * streams, () => [windowUpdate(0, 1)]));
    const frames = await peer.settle();
    for (let at = 0; at < streams; at += 1) assert.equal(bytesOf(frames, 2 * at + 3), 2);
  });

  it("that opens no window loses its stream in the end", async () => {
    await using server = await answeringServer({ stalledMs: 50 });
    await using peer = await FramePeer.connect(server.port);
    peer.send(settings([4, 0]), headers(1, pathFields("/big/1000")));
    const reset = await peer.nextOf(frameType.RST_STREAM);
    assert.equal(reset.payload.readUInt32BE(), errorCode.ENHANCE_YOUR_CALM);
    assert.equal(server.requests[0]?.fault?.origin, "protocol");
    peer.send(headers(3, pathFields("/")), windowUpdate(3, 100));
    assert.equal(bytesOf(await peer.settle()), 12);
  });

  it("that opens no window for many streams loses them all, and no more", async () => {
    await using server = await answeringServer({ stalledMs: 50, maxIdleFramesPerSecond: 4 });
    await using peer = await FramePeer.connect(server.port);
    peer.send(settings([4, 0]), ...times(20, (id) => [headers(id, pathFields("/big/1000"))]));
    for (let count = 0; count < 20; count += 1) await peer.nextOf(frameType.RST_STREAM);
    assert.equal(server.connections[0]?.activeStreams, 0);
    assert.equal(endings(peer.frames).length, 20);
  });

  it("of more answers than may wait loses its connection", async () => {
    await using server = await answeringServer({ maxQueuedBytes: 100_000 });
    await using peer = await FramePeer.connect(server.port);
    peer.send(settings([4, 0]), ...times(11, (id) => [headers(id, pathFields("/big/10000"))]));
    assert.deepEqual(endings(await peer.ended()), ["GOAWAY ENHANCE_YOUR_CALM"]);
    assert.match((await server.closed())?.message ?? "", /reads too slowly/);
    for (const { stream } of server.requests) assert.equal(stream.isOpen, false);
    await assertServesOthers(server.port);
  });

  it("gives back what it queued by resetting, and may go on", async () => {
    await using server = await answeringServer({ maxQueuedBytes: 100_000 });
    await using peer = await FramePeer.connect(server.port);
    peer.send(settings([4, 0]), ...times(50, (id) => [headers(id, pathFields("/big/60000")), rstStream(id)]));
    assert.deepEqual(endings(await peer.settle()), []);
    assert.equal(server.connections[0]?.activeStreams, 0);
  });
});

/** Sends without reading until the server gives up, and resolves to the reason. */
async function neverReading(server: AnsweringServer, begin: Buffer, again: Buffer): Promise<string> {
  await using peer = await FramePeer.connect(server.port, begin);
  const { socket } = peer;
  socket.pause();
  const closed = server.closed();
  let isClosed = false;
  const pour = (): void => {
    while (!isClosed && socket.writable && socket.write(again));
  };
  socket.on("drain", pour);
  pour();
  const fault = await closed;
  isClosed = true;
  return fault?.message ?? "";
}

describe("a client that never reads", () => {
  it("is cut off when its pings pile up", async () => {
    await using server = await answeringServer({ maxQueuedBytes: 100_000, maxIdleFramesPerSecond: 1e9 });
    const before = process.memoryUsage().arrayBuffers;
    const message = await neverReading(server, opening, Buffer.concat(times(4000, () => [ping()])));
    assert.equal(message, "the peer does not read");
    // Thousands of answers wait: each must not keep the chunk alive that it was written in.
    assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 ** 2);
    await assertServesOthers(server.port);
  });

  it("is cut off when its answers pile up", async () => {
    await using server = await answeringServer({ maxQueuedBytes: 2 ** 20 });
    const begin = Buffer.concat([
      opening,
      settings([4, 2 ** 31 - 1]),
      windowUpdate(0, 2 ** 30),
      ...times(40, (id) => [headers(id, pathFields("/big/1000000"))]),
    ]);
    assert.match(await neverReading(server, begin, ping()), /reads too slowly/);
    await assertServesOthers(server.port);
  });
});

describe("a connection that goes silent", () => {
  it("before the preface is closed", async () => {
    await using server = await answeringServer({ settingsTimeoutMs: 20 });
    await using peer = await FramePeer.connect(server.port, Buffer.alloc(0));
    assert.deepEqual(endings(await peer.ended()), ["GOAWAY SETTINGS_TIMEOUT"]);
    assert.match((await server.closed())?.message ?? "", /not acknowledged/);
  });

  it("within the preface is closed", async () => {
    await using server = await answeringServer({ settingsTimeoutMs: 20 });
    await using peer = await FramePeer.connect(server.port, preface.subarray(0, 20));
    assert.deepEqual(endings(await peer.ended()), ["GOAWAY SETTINGS_TIMEOUT"]);
  });

  it("without acknowledging the settings is closed, though it makes requests", async () => {
    await using server = await answeringServer({ settingsTimeoutMs: 300 });
    await using peer = await FramePeer.connect(server.port, Buffer.concat([preface, settings(), headers(1)]));
    assert.deepEqual(endings(await peer.ended()), ["GOAWAY SETTINGS_TIMEOUT"]);
    assert.ok(peer.frames.some(isData));
  });

  it("is asked by PING, and closed when no answer comes", async () => {
    await using server = await answeringServer({ keepAliveMs: 20, keepAliveTimeoutMs: 20 });
    await using peer = await FramePeer.connect(server.port);
    await peer.nextOf(frameType.PING);
    await peer.ended();
    assert.match((await server.closed())?.message ?? "", /PING/);
  });

  it("is kept as long as it answers", async () => {
    await using server = await answeringServer({ keepAliveMs: 10, keepAliveTimeoutMs: 5000 });
    await using peer = await FramePeer.connect(server.port);
    for (let round = 0; round < 5; round += 1) {
      peer.send(ping(frameFlag.ACK, (await peer.nextOf(frameType.PING)).payload));
    }
    peer.send(headers(1));
    assert.equal(bytesOf(await peer.settle()), 12);
  });

  it("without streams is drained after a while: GOAWAY twice, and the end", async () => {
    await using server = await answeringServer({ idleMs: 20 });
    await using peer = await FramePeer.connect(server.port);
    assert.equal((await peer.nextOf(frameType.GOAWAY)).payload.readUInt32BE(), 2 ** 31 - 1);
    peer.send(headers(1));
    peer.send(ping(frameFlag.ACK, (await peer.nextOf(frameType.PING)).payload));
    await peer.ended();
    assert.equal(bytesOf(peer.frames), 12);
    assert.deepEqual(endings(peer.frames), ["GOAWAY NO_ERROR", "GOAWAY NO_ERROR"]);
    assert.equal(await server.closed(), undefined);
  });

  it("with a request on its way, half-closed, ends with it", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1, pathFields("/wait", "POST")), data(1));
    await peer.settle();
    peer.socket.end();
    await peer.ended();
    assert.match((await server.closed())?.message ?? "", /closed the connection/);
    assert.equal(server.requests[0]?.fault?.origin, "connection");
  });

  it("in the middle of a frame ends without a trace", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1).subarray(0, 20));
    peer.socket.end();
    await peer.ended();
    assert.equal(await server.closed(), undefined);
    assert.equal(server.requests.length, 0);
  });
});

describe("a client that gives trouble in other ways", () => {
  it("cannot send more than the window of a stream, small as it may be, once it knows it", async () => {
    await using server = await answeringServer({ streamWindowBytes: 1000 });
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1, pathFields("/wait", "POST")), data(1, Buffer.alloc(400)));
    assert.deepEqual(endings(await peer.settle()), []);
    peer.send(data(1, Buffer.alloc(1001)));
    assert.deepEqual(endings(await peer.settle()), ["RST_STREAM FLOW_CONTROL_ERROR on 1"]);
  });

  it("cannot send more than the window of the connection", async () => {
    await using server = await answeringServer({ connectionWindowBytes: 65_535, streamWindowBytes: 1_000_000 });
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1, pathFields("/wait", "POST")));
    await peer.settle();
    server.requests[0]?.stream.pause();
    peer.send(...times(5, () => [data(1, Buffer.alloc(16_384))]));
    assert.deepEqual(endings(await peer.ended()), ["GOAWAY FLOW_CONTROL_ERROR"]);
  });

  it("gets no more memory with each stream that it opens and leaves", async () => {
    await using server = await answeringServer({ maxIdleFramesPerSecond: 1e9 });
    await using peer = await FramePeer.connect(server.port);
    for (let round = 0; round < 10; round += 1) {
      peer.send(...times(500, (id) => [headers(id + round * 1000, pathFields("/wait")), rstStream(id + round * 1000)]));
    }
    await peer.settle();
    assert.equal(server.requests.length, 5000);
    assert.equal(server.connections[0]?.activeStreams, 0);
    assert.ok(server.requests.every(({ fault }) => fault?.origin === "peer"));
  });

  it("is answered on other streams when a handler breaks on one", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port);
    peer.send(headers(1, pathFields("/throw")), headers(3));
    const frames = await peer.settle();
    assert.deepEqual(endings(frames), ["RST_STREAM INTERNAL_ERROR on 1"]);
    assert.equal(bytesOf(frames, 3), 12);
    assert.equal(server.errors.length, 1);
  });

  it("may cut what it sends anywhere", async () => {
    await using server = await answeringServer();
    await using peer = await FramePeer.connect(server.port, Buffer.alloc(0));
    peer.socket.setNoDelay(true);
    for (const octet of Buffer.concat([preface, settings(), settingsAck, openPost(1), endData(1)])) {
      if (!peer.socket.write(Buffer.of(octet))) await once(peer.socket, "drain");
      await new Promise(setImmediate);
    }
    assert.equal(bytesOf(await peer.settle()), 12);
  });
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import {
  type Fields,
  type Frame,
  FramePeer,
  getFields,
  headers,
  listenFor,
  opening,
  settings,
  windowUpdate,
} from "../../test/support/http2-frames.ts";
import { frameType } from "./frame.ts";
import { HeaderBlock } from "./header-block.ts";
import { serveHttp2 } from "./server-connection.ts";
import type { Http2Stream } from "./stream-contract.ts";

const okHead = HeaderBlock.of(":status", "200");
const trailers = HeaderBlock.of("grpc-status", "0");

interface Sending extends AsyncDisposable {
  readonly peer: FramePeer;
  readonly stream: Http2Stream;
  readonly heard: readonly string[];
}

/** A stream of a server whose client has closed all windows. */
async function closedWindow(fields: Fields = getFields): Promise<Sending> {
  const heard: string[] = [];
  const opened = Promise.withResolvers<Http2Stream>();
  const listener = await listenFor((socket) => {
    serveHttp2(socket, {
      onStream: (stream) => {
        opened.resolve(stream);
        return {
          headers: () => undefined,
          data: () => undefined,
          trailers: () => undefined,
          fault: ({ code }) => heard.push(`fault ${code}`),
          drained: () => heard.push("drained"),
        };
      },
      onReceiverError: (error) => heard.push(String(error)),
    });
  });
  const peer = await FramePeer.connect(listener.port);
  peer.send(settings([4, 0]), headers(1, fields));
  await peer.settle();
  const stream = await opened.promise;
  return {
    peer,
    stream,
    heard,
    [Symbol.asyncDispose]: async () => {
      await peer[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

const shapes = (frames: readonly Frame[]): string[] =>
  frames.map(({ type, flags, payload }) => {
    const name = type === frameType.DATA ? "DATA" : type === frameType.HEADERS ? "HEADERS" : String(type);
    return `${name} ${payload.length > 20 ? payload.length : payload.toString("latin1")}${(flags & 1) === 1 ? " end" : ""}`;
  });

describe("what a stream sends behind a closed window", () => {
  it("goes as far as the window opens, in order, with the trailers right behind it", async () => {
    await using sending = await closedWindow();
    const { peer, stream, heard } = sending;
    stream.sendHeaders(okHead, false);
    assert.equal(stream.sendData(Buffer.from("xxabcdexx"), 2, 7, false), false);
    assert.equal(stream.sendData(Buffer.from("f"), 0, 1, false), false);
    assert.equal(stream.sendData(Buffer.alloc(0), 0, 0, false), false);
    stream.sendHeaders(trailers, true);
    await peer.settle();
    peer.send(windowUpdate(1, 2));
    assert.deepEqual(shapes(await peer.settle()), ["DATA ab"]);
    assert.deepEqual(heard, []);
    peer.send(windowUpdate(1, 4));
    const last = await peer.settle();
    assert.deepEqual(shapes(last.slice(0, 3)), ["DATA cde", "DATA f", "DATA "]);
    assert.deepEqual([last[3]?.type, last[3]?.flags], [frameType.HEADERS, 5]);
    assert.equal(stream.isOpen, false);
  });

  it("tells its owner once that all of it is gone", async () => {
    await using sending = await closedWindow();
    const { peer, stream, heard } = sending;
    stream.sendHeaders(okHead, false);
    for (let count = 0; count < 3; count += 1) stream.sendData(Buffer.from("abc"), 0, 3, false);
    peer.send(windowUpdate(1, 100));
    await peer.settle();
    assert.deepEqual(heard, ["drained"]);
    assert.equal(stream.sendData(Buffer.from("abc"), 0, 3, false), true);
  });

  it("is cut into messages of gRPC wherever the window ends", async () => {
    await using sending = await closedWindow();
    const { peer, stream } = sending;
    stream.sendHeaders(okHead, false);
    stream.sendMessage(0, Buffer.from("hello"), false);
    stream.sendMessage(1, Buffer.alloc(0), true);
    for (let count = 0; count < 15; count += 1) peer.send(windowUpdate(1, 1));
    const bodies = (await peer.settle()).filter(({ type }) => type === frameType.DATA);
    assert.equal(bodies.length, 15 + 1);
    const whole = Buffer.concat(bodies.map(({ payload }) => payload));
    assert.equal(whole.toString("latin1"), "\0\0\0\0\x05hello\x01\0\0\0\0");
    assert.equal(bodies.at(-1)?.flags, 1);
  });

  it("is dropped with the stream, and a section that cannot be encoded resets its stream alone", async () => {
    await using sending = await closedWindow();
    const { peer, stream, heard } = sending;
    stream.sendHeaders(okHead, false);
    stream.sendData(Buffer.from("abc"), 0, 3, false);
    stream.sendHeaders(HeaderBlock.of("x-wide", "\u20ac"), true);
    peer.send(windowUpdate(1, 100));
    const frames = await peer.settle();
    assert.equal(frames.at(-1)?.type, frameType.RST_STREAM);
    assert.match(heard.join(), /RangeError/);
    assert.equal(stream.connection.activeStreams, 0);
  });
});

describe("what a server writes", () => {
  it("reaches a client that reads late, whole and in order, though it came in many turns", async () => {
    const size = 40_000;
    await using listener = await listenFor((socket) => {
      serveHttp2(socket, {
        onStream: (stream) => {
          stream.sendHeaders(okHead, false);
          const body = Buffer.alloc(size, stream.id & 0xff);
          stream.sendData(body, 0, size, true);
          return {
            headers: () => undefined,
            data: () => undefined,
            trailers: () => undefined,
            fault: () => undefined,
            drained: () => undefined,
          };
        },
      });
    });
    const socket = connect(listener.port, "127.0.0.1");
    await once(socket, "connect");
    await using peer = new FramePeer(socket);
    peer.send(opening, settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30));
    socket.pause();
    const streams = 300;
    for (let at = 0; at < streams; at += 1) {
      peer.send(headers(2 * at + 1));
      if (at % 10 === 0) await new Promise(setImmediate);
    }
    socket.resume();
    // Not behind a PING: its answer overtakes DATA that waits for the socket.
    for (let ended = 0; ended < streams; ended += 1) await peer.next(({ type, flags }) => type === 0 && flags === 1);
    const bodies = peer.frames.filter(({ type }) => type === frameType.DATA);
    for (let at = 0; at < streams; at += 1) {
      const id = 2 * at + 1;
      const body = Buffer.concat(bodies.filter(({ streamId }) => streamId === id).map(({ payload }) => payload));
      assert.ok(body.equals(Buffer.alloc(size, id & 0xff)));
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Answer,
  answer200,
  clientOf,
  collecting,
  echoing,
  faultOf,
  get,
  head,
  noReceiver,
  ownPeer,
  post,
  untilNextTurn,
} from "../../test/support/http2-peers.ts";
import { errorCode } from "./error-code.ts";
import { HeaderBlock } from "./header-block.ts";
import type { Http2Connection, Http2Stream } from "./stream-contract.ts";

describe("a request that was certainly not processed", () => {
  it("is sent once more, its content too, after the peer refused the stream", async () => {
    let refused = 0;
    await using peer = await ownPeer((stream, nth) => {
      if (nth > 0) return echoing(stream);
      refused += 1;
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    const { receiver, answer } = collecting();
    const request = client.request(head(), false, receiver);
    const bytes = Buffer.from("one,two");
    request.sendData(bytes, 0, 4, false);
    request.sendData(bytes, 4, 7, true);
    assert.equal((await answer).body, "one,two");
    assert.equal(refused, 1);
  });

  it("fails when it is refused again", async () => {
    let refused = 0;
    await using peer = await ownPeer((stream) => {
      refused += 1;
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    const fault = await faultOf(post(client, "x"));
    assert.deepEqual([fault.code, fault.unprocessed, refused], [errorCode.REFUSED_STREAM, true, 2]);
  });

  it("is not sent again with content that is not kept any more, or after an answer has begun", async () => {
    const refusals: (() => void)[] = [];
    const { promise: came, resolve } = Promise.withResolvers<void>();
    let served = 0;
    await using peer = await ownPeer((stream) => {
      served += 1;
      let bytesLeft = 100_000;
      refusals.push(() => stream.reset(errorCode.REFUSED_STREAM));
      return {
        ...noReceiver,
        data(_bytes, start, end) {
          bytesLeft -= end - start;
          if (bytesLeft <= 0) resolve();
        },
      };
    });
    await using client = clientOf(peer.address);
    const { receiver, answer } = collecting();
    const request = client.request(head(), false, receiver);
    request.sendData(Buffer.alloc(100_000), 0, 100_000, false);
    await came;
    for (const refuse of refusals) refuse();
    assert.equal((await faultOf(answer)).code, errorCode.REFUSED_STREAM);
    assert.equal(served, 1);
    assert.equal(request.isOpen, false);
  });

  it("moves to a new connection when GOAWAY leaves it out, while older ones end on theirs", async () => {
    const connections: Http2Connection[] = [];
    const { promise: older, resolve } = Promise.withResolvers<Http2Stream>();
    const served: number[] = [];
    await using peer = await ownPeer((stream, nth, connection) => {
      served.push(connection);
      if (nth > 0 || connection > 0) return echoing(stream);
      resolve(stream);
      return noReceiver;
    }, connections);
    await using client = clientOf(peer.address);
    const held = get(client);
    const stream = await older;
    const gone = client.untilDisconnected(new AbortController().signal);
    connections[0]?.drain();
    // Some of these are on their way when the last GOAWAY is sent.
    const bodies = Array.from({ length: 20 }, (_, at) => String(at));
    const answers: Promise<Answer>[] = [];
    while (!served.includes(1)) {
      for (const body of bodies) answers.push(post(client, body));
      await untilNextTurn();
    }
    // A client that has a connection still, but none for more requests, is not connected.
    await gone;
    stream.sendHeaders(answer200, true);
    assert.equal((await held.answer).status, "200");
    for (const [at, { body }] of (await Promise.all(answers)).entries()) assert.equal(body, String(at % 20));
  });

  it("fails with the reason when the peer cannot be reached again", async () => {
    const peer = await ownPeer((stream) => {
      void peer[Symbol.asyncDispose]();
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    assert.match((await faultOf(get(client).answer)).message, /^cannot connect to|connection|reset/);
  });

  it("is forgotten when its owner resets it while it waits to be sent again", async () => {
    await using peer = await ownPeer((stream, nth) => {
      if (nth > 0) return echoing(stream);
      stream.reset(errorCode.REFUSED_STREAM);
      return noReceiver;
    });
    await using client = clientOf(peer.address);
    const { stream } = get(client);
    const other = post(client, "x");
    stream.reset(errorCode.CANCEL);
    assert.equal(stream.isOpen, false);
    assert.equal((await other).body, "x");
  });
});

describe("a request in the hands of its owner", () => {
  it("is held back until there is a connection that takes its content, and then wants more", async () => {
    await using peer = await ownPeer(echoing);
    await using client = clientOf(peer.address);
    const { promise: wanted, resolve } = Promise.withResolvers<void>();
    const { receiver, answer } = collecting();
    const request = client.request(head(), false, { ...receiver, drained: resolve });
    assert.equal(request.sendData(Buffer.from("a"), 0, 1, false), false);
    await wanted;
    assert.equal(request.sendData(Buffer.from("b"), 0, 1, true), true);
    assert.equal((await answer).body, "ab");
    assert.equal(request.isReceived, true);
    assert.equal(request.isOpen, false);
  });

  it("can be paused before it has a connection; the peer is held back by its window", async () => {
    const whole = 1024 * 1024;
    const { promise: stuck, resolve } = Promise.withResolvers<void>();
    await using peer = await ownPeer((stream) => {
      stream.sendHeaders(answer200, false);
      assert.equal(stream.sendData(Buffer.alloc(whole), 0, whole, true), false);
      resolve();
      return noReceiver;
    });
    await using client = clientOf(peer.address, { limits: { streamWindowBytes: 65_535 } });
    let bytes = 0;
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { promise: full, resolve: fill } = Promise.withResolvers<void>();
    const request = client.request(head("/", "GET"), true, {
      ...noReceiver,
      data(_bytes, from, to, endStream) {
        bytes += to - from;
        if (bytes === 65_535) fill();
        if (endStream) end();
      },
    });
    request.pause();
    await stuck;
    await full;
    await untilNextTurn();
    assert.equal(bytes, 65_535);
    request.resume();
    await ended;
    assert.equal(bytes, whole);
  });

  it("sends trailers", async () => {
    await using peer = await ownPeer((stream) => ({
      ...echoing(stream),
      data: () => undefined,
      trailers(block) {
        stream.sendHeaders(HeaderBlock.of("x-came", block.get("x-sent") ?? ""), true);
      },
    }));
    await using client = clientOf(peer.address);
    const { receiver, answer } = collecting();
    client.request(head(), false, receiver).sendHeaders(HeaderBlock.of("x-sent", "1"), true);
    assert.equal((await answer).trailers?.get("x-came"), "1");
  });
});

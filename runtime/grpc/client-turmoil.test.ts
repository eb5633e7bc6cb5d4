import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallListener, channelTo, unaryPath } from "../../test/support/grpc-calls.ts";
import { noReceiver, ownPeer } from "../../test/support/http2-peers.ts";
import { type Random, randomOf } from "../../test/support/random.ts";
import { errorCode } from "../http2/error-code.ts";
import { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import type { GrpcChannel } from "./client-channel.ts";
import { statusCode } from "./status-code.ts";

const head = HeaderBlock.of(":status", "200", "content-type", "application/grpc");
const ok = HeaderBlock.of("grpc-status", "0");
const notFound = HeaderBlock.of(":status", "200", "content-type", "application/grpc", "grpc-status", "5");

/** Sends back what came. */
function echo(stream: Http2Stream): StreamReceiver {
  stream.sendHeaders(head, false);
  return {
    ...noReceiver,
    data(bytes, start, end, endStream) {
      stream.sendData(bytes, start, end, false);
      if (endStream) stream.sendHeaders(ok, true);
    },
  };
}

/** What may become of a call at the server; most go well. */
const fates: readonly ((stream: Http2Stream, random: Random) => StreamReceiver)[] = [
  ...Array.from({ length: 20 }, () => echo),
  (stream) => {
    stream.sendHeaders(notFound, true);
    return noReceiver;
  },
  (stream, random) => {
    stream.reset(random.of([errorCode.REFUSED_STREAM, errorCode.CANCEL, errorCode.INTERNAL_ERROR]));
    return noReceiver;
  },
  () => noReceiver,
  (stream) => {
    stream.sendHeaders(head, false);
    stream.sendMessage(0, Buffer.alloc(1000), false);
    stream.reset(errorCode.INTERNAL_ERROR);
    return noReceiver;
  },
  (stream) => {
    stream.connection.drain();
    return echo(stream);
  },
  (stream, random) => {
    if (random.below(4) === 0) stream.connection.close(errorCode.ENHANCE_YOUR_CALM, "enough");
    return noReceiver;
  },
];

/** One call with whatever may be asked of it; resolves to its code. */
async function call(channel: GrpcChannel, random: Random): Promise<number> {
  const stopping = new AbortController();
  const options = { timeoutMs: 10 + random.below(200), signal: stopping.signal };
  const message = Buffer.alloc(random.below(8) === 0 ? 300_000 : random.below(2000), random.below(256));
  if (random.below(10) === 0) setImmediate(() => stopping.abort());
  if (random.below(4) > 0) {
    const { status, message: answer } = await channel.unary(unaryPath, message, options);
    if (status.code === 0) assert.ok(answer?.equals(message));
    return status.code;
  }
  const listener = new CallListener();
  const stream = channel.call(unaryPath, options, listener);
  listener.onMessage = () => {
    stream.pause();
    setImmediate(() => stream.resume());
  };
  stream.send(message, false);
  stream.send(message, random.below(2) === 0);
  stream.end();
  const { code } = await listener.ending;
  if (code === 0) assert.ok(listener.messages.every((one) => one.equals(message)));
  return code;
}

const calls = 600;

describe("the calls of a channel", () => {
  for (const seed of [1, 2, 3]) {
    it(`all end, right or with a status, whatever the server and the caller do (seed ${seed})`, async () => {
      const random = randomOf(seed);
      await using peer = await ownPeer((stream) => random.of(fates)(stream, random));
      await using channel = channelTo(peer.address, { firstBackoffMs: 1, longestBackoffMs: 1 });
      const codes = new Map<number, number>();
      let left = calls;
      const work = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          const code = await call(channel, random);
          codes.set(code, (codes.get(code) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: 40 }, work));
      assert.equal(channel.activeCalls, 0);
      const ended = [...codes.values()].reduce((sum, count) => sum + count, 0);
      assert.equal(ended, calls);
      assert.ok((codes.get(statusCode.OK) ?? 0) > 0, [...codes].join(" "));
    });
  }
});

/** RFC 9113, sections 5.2 and 6.9: a server sends no more than the client's windows allow, and all that they allow. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { frameFlag, frameType } from "../../../runtime/http2/frame.ts";
import {
  data,
  type Fields,
  type Frame,
  FramePeer,
  headers,
  opening,
  openPost,
  rstStream,
  settings,
  windowUpdate,
} from "../../support/http2-frames.ts";
import { answeringServer } from "./answering-server.ts";
import { endings } from "./outcome.ts";

const path = (value: string, method = "GET"): Fields => [
  [":method", method],
  [":scheme", "http"],
  [":path", value],
];
const bodies = (frames: readonly Frame[], streamId = 1): Frame[] =>
  frames.filter((one) => one.type === frameType.DATA && one.streamId === streamId);
const lengths = (frames: readonly Frame[], streamId = 1): number[] =>
  bodies(frames, streamId).map(({ payload }) => payload.length);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** A server, a client that has sent this, and what came. */
async function exchange(
  steps: readonly (readonly Buffer[])[],
  check: (answers: readonly (readonly Frame[])[]) => void,
): Promise<void> {
  await using server = await answeringServer();
  await using peer = await FramePeer.connect(server.port, opening);
  const answers: (readonly Frame[])[] = [];
  for (const step of steps) {
    peer.send(...step);
    answers.push(await peer.settle());
  }
  assert.ok(!peer.isEnded);
  check(answers);
}

describe("the client's windows", () => {
  it("of 0 let no DATA go, and of 1 one octet", () =>
    exchange([[settings([4, 0]), headers(1, path("/big/100"))], [settings([4, 1])]], ([first, second]) => {
      assert.deepEqual(lengths(first ?? []), []);
      assert.deepEqual(lengths(second ?? []), [1]);
    }));

  it("of the settings change those of open streams, below 0 too", () =>
    exchange(
      [
        [settings([4, 10]), headers(1, path("/big/100"))],
        [settings([4, 4])],
        [windowUpdate(1, 6)],
        [windowUpdate(1, 1)],
        [settings([4, 14])],
      ],
      (answers) =>
        assert.deepEqual(
          answers.map((frames) => lengths(frames)),
          [[10], [], [], [1], [10]],
        ),
    ));

  it("of the settings are those of streams to come", () =>
    exchange([[settings([4, 7])], [headers(1, path("/big/100"))]], ([, second]) =>
      assert.deepEqual(lengths(second ?? []), [7]),
    ));

  it("that come several times in one SETTINGS count as the last", () =>
    exchange([[settings([4, 50], [4, 0], [4, 2]), headers(1, path("/big/100"))]], ([first]) =>
      assert.deepEqual(lengths(first ?? []), [2]),
    ));

  it("are told as changed before the DATA that they let go", () =>
    exchange([[settings([4, 0]), headers(1, path("/big/10"))], [settings([4, 10])]], ([, second]) =>
      assert.deepEqual(
        second?.map(({ type }) => type),
        [frameType.SETTINGS, frameType.DATA],
      ),
    ));

  it("of the connection are shared by the streams", () =>
    exchange(
      [
        [headers(1, path("/big/60000")), headers(3, path("/big/60000"))],
        [windowUpdate(0, 54_464), windowUpdate(0, 1)],
        [windowUpdate(0, 1)],
      ],
      (answers) => {
        const both = answers.map((frames) => sum(lengths(frames, 1)) + sum(lengths(frames, 3)));
        assert.deepEqual(both, [65_535, 54_465, 0]);
      },
    ));

  it("let frames go that are no longer than the client takes", () =>
    exchange(
      [
        [settings([4, 1_000_000]), windowUpdate(0, 1_000_000), headers(1, path("/big/100000"))],
        [settings([5, 20_000]), headers(3, path("/big/100000"))],
      ],
      ([first, second]) => {
        assert.equal(Math.max(...lengths(first ?? [])), 16_384);
        assert.equal(Math.max(...lengths(second ?? [], 3)), 20_000);
        assert.equal(sum(lengths(first ?? [])), 100_000);
        assert.equal(sum(lengths(second ?? [], 3)), 100_000);
      },
    ));

  it("do not hold back heads, trailers and the end", () =>
    exchange([[settings([4, 0]), headers(1, path("/big/0"))]], ([first]) => {
      assert.deepEqual(lengths(first ?? []), [0]);
      assert.equal(bodies(first ?? [])[0]?.flags, frameFlag.END_STREAM);
    }));

  it("are used in turns, a frame each", () =>
    exchange(
      [
        [headers(1, path("/big/200000")), headers(3, path("/big/200000")), headers(5, path("/big/200000"))],
        [windowUpdate(1, 200_000), windowUpdate(3, 200_000), windowUpdate(5, 200_000), windowUpdate(0, 300_000)],
      ],
      ([, second]) => {
        const ids = (second ?? []).filter(({ type }) => type === frameType.DATA).map(({ streamId }) => streamId);
        for (let at = 3; at < ids.length - 3; at += 1) assert.notEqual(ids[at], ids[at + 1]);
      },
    ));

  it("lose nothing when a stream that waits is reset", () =>
    exchange(
      [
        [
          headers(1, path("/big/65535")),
          headers(3, path("/big/9")),
          headers(5, path("/big/9")),
          headers(7, path("/big/9")),
        ],
        [rstStream(5), windowUpdate(0, 18)],
      ],
      ([, second]) => {
        assert.deepEqual(endings(second ?? []), []);
        assert.deepEqual(
          [3, 5, 7].map((id) => sum(lengths(second ?? [], id))),
          [9, 0, 9],
        );
      },
    ));
});

describe("the server's windows", () => {
  const updates = (frames: readonly Frame[], streamId: number): number[] =>
    frames
      .filter((one) => one.type === frameType.WINDOW_UPDATE && one.streamId === streamId)
      .map(({ payload }) => payload.readUInt32BE());
  const limits = { streamWindowBytes: 100_000, connectionWindowBytes: 200_000 };

  it("are given back when half is used, padding included", async () => {
    await using server = await answeringServer(limits);
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1, path("/wait", "POST")));
    assert.deepEqual(updates(await peer.settle(), 0), [200_000 - 65_535]);
    const padded = data(1, Buffer.concat([Buffer.of(255), Buffer.alloc(9_999)]), frameFlag.PADDED);
    peer.send(padded, padded, padded, padded);
    assert.deepEqual(updates(await peer.settle(), 1), []);
    peer.send(padded);
    assert.deepEqual(updates(await peer.settle(), 1), [50_000]);
    assert.equal(server.requests[0]?.bytes, 5 * (9_999 - 255));
    peer.send(padded, padded, padded, padded, padded);
    assert.deepEqual(updates(await peer.settle(), 0), [100_000]);
  });

  it("are given back on resume when the stream was paused", async () => {
    await using server = await answeringServer(limits);
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1, path("/wait", "POST")));
    await peer.settle();
    const stream = server.requests[0]?.stream;
    stream?.pause();
    for (let count = 0; count < 10; count += 1) peer.send(data(1, Buffer.alloc(10_000)));
    const frames = await peer.settle();
    assert.deepEqual([updates(frames, 0), updates(frames, 1)], [[], []]);
    stream?.resume();
    const after = await peer.settle();
    assert.deepEqual([updates(after, 0), updates(after, 1)], [[100_000], [100_000]]);
  });

  it("of the connection are given back when a paused stream ends", async () => {
    await using server = await answeringServer(limits);
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1, path("/wait", "POST")));
    await peer.settle();
    server.requests[0]?.stream.pause();
    for (let count = 0; count < 10; count += 1) peer.send(data(1, Buffer.alloc(10_000)));
    peer.send(rstStream(1));
    assert.deepEqual(updates(await peer.settle(), 0), [100_000]);
  });

  it("of the connection are given back for DATA that nobody wants", async () => {
    await using server = await answeringServer(limits);
    await using peer = await FramePeer.connect(server.port);
    peer.send(openPost(1, path("/wait", "POST")));
    await peer.settle();
    server.requests[0]?.stream.reset(0);
    for (let count = 0; count < 10; count += 1) peer.send(data(1, Buffer.alloc(10_000)));
    const frames = await peer.settle();
    assert.deepEqual(updates(frames, 0), [100_000]);
    assert.deepEqual(endings(frames), ["RST_STREAM NO_ERROR on 1"]);
  });
});

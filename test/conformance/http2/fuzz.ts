import assert from "node:assert/strict";
import { frameType, preface } from "../../../runtime/http2/frame.ts";
import type { Http2Limits } from "../../../runtime/http2/stream-contract.ts";
import { FramePeer, headers, settings, settingsAck } from "../../support/http2-frames.ts";
import { answeringServer } from "./answering-server.ts";
import { clientRig } from "./client-rig.ts";
import { requests, responses, seeded, spoil } from "./mutation.ts";
import { assertServesOthers } from "./outcome.ts";

const limits: Partial<Http2Limits> = { maxQueuedBytes: 2 ** 20, maxConcurrentStreams: 50 };
/** Connections that one server takes before it is looked at. */
const batch = 50;
/** What a process may grow by, whatever was sent to it. */
const mostGrowthBytes = 256 * 1024 ** 2;

/** Spoils what clients say to a server, so often; it must end or serve each of them, and then serve the next. */
export async function fuzzServer(seed: number, times: number): Promise<void> {
  const random = seeded(seed);
  const before = process.memoryUsage().rss;
  for (let round = 0; round < times; round += batch) {
    await using server = await answeringServer(limits);
    for (let count = 0; count < batch; count += 1) {
      const said = requests[random(requests.length)] ?? [];
      const opening = [preface, settings(), settingsAck];
      const bytes = random(10) === 0 ? spoil([...opening, ...said], requests, random) : undefined;
      await using peer = await FramePeer.connect(server.port, Buffer.alloc(0));
      peer.send(...(bytes === undefined ? [...opening, spoil(said, requests, random)] : [bytes]));
      await endOf(peer);
    }
    await assertServesOthers(server.port);
    for (const connection of server.connections) connection.close(0, "the test is over");
    for (let count = 0; count < server.connections.length; count += 1) await server.closed();
    for (const connection of server.connections)
      assert.deepEqual([connection.isClosed, connection.activeStreams], [true, 0]);
    for (const { stream } of server.requests) assert.equal(stream.isOpen, false);
    assert.deepEqual(server.errors, []);
  }
  assert.ok(process.memoryUsage().rss - before < mostGrowthBytes);
}

/** Spoils what servers say to a client, so often; every request of it must end or be left waiting, and nothing else. */
export async function fuzzClient(seed: number, times: number): Promise<void> {
  const random = seeded(seed);
  for (let round = 0; round < times; round += 1) {
    await using rig = await clientRig(limits);
    const heard = Array.from({ length: 3 }, () => rig.request("/", "POST", false));
    for (const { stream } of heard) stream.sendData(Buffer.alloc(100_000), 0, 100_000, true);
    rig.server.send(spoil(responses[random(responses.length)] ?? [], responses, random));
    await endOf(rig.server);
    rig.client.close(0, "the test is over");
    await rig.closed;
    for (const { stream } of heard) assert.equal(stream.isOpen, false);
    assert.deepEqual(rig.errors, []);
  }
  await using rig = await clientRig();
  const { events } = rig.request();
  rig.server.send(headers(1, [[":status", "200"]]));
  await rig.server.settle();
  assert.deepEqual(events, ["headers 200 end"]);
}

/** The other end has answered or ended; what is cut off within a frame may leave it waiting, so this end ends then. */
async function endOf(peer: FramePeer): Promise<void> {
  // Completes whatever frame was cut: then it is one frame, or an error.
  const filler = Buffer.alloc(16_384 + 9);
  peer.send(filler);
  peer.socket.end();
  const frames = await peer.ended();
  assert.ok(frames.every(({ type }) => type <= frameType.CONTINUATION));
}

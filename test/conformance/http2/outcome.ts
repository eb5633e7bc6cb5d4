import assert from "node:assert/strict";
import { it } from "node:test";
import { errorCode } from "../../../runtime/http2/error-code.ts";
import { frameType } from "../../../runtime/http2/frame.ts";
import type { Http2Limits } from "../../../runtime/http2/stream-contract.ts";
import { describeFrame, type Frame, FramePeer, getFields, headers, opening } from "../../support/http2-frames.ts";
import { answeringServer } from "./answering-server.ts";

type Code = keyof typeof errorCode;

/** What must come of a case. */
export type Outcome =
  /** GOAWAY with the code, and then the end. */
  | { readonly goAway: Code }
  /** RST_STREAM with the code on the stream; other streams go on. */
  | { readonly reset: Code; readonly on: number }
  /** The request on the stream is answered whole. */
  | { readonly answered: number; readonly status?: string }
  /** Nothing ends, neither the connection nor a stream. */
  | "nothing"
  /** The connection ends, with or without GOAWAY. */
  | "end";

/** Something a client does, and what must come of it. */
export interface Case {
  readonly name: string;
  /** Instead of the preface, SETTINGS and the acknowledgement. */
  readonly begin?: Buffer;
  readonly send: readonly Buffer[];
  readonly comes: Outcome;
  readonly limits?: Partial<Http2Limits>;
}

/** Runs each case on a server and a connection of its own. */
export function cases(list: readonly Case[]): void {
  for (const one of list) it(one.name, () => run(one));
}

async function run({ begin = opening, send, comes, limits = {} }: Case): Promise<void> {
  await using server = await answeringServer(limits);
  await using peer = await FramePeer.connect(server.port, begin);
  peer.send(...send);
  if (comes === "end" || (typeof comes === "object" && "goAway" in comes)) {
    const frames = await peer.ended();
    const goAways = endings(frames).filter((ending) => ending.startsWith("GOAWAY"));
    if (comes !== "end") assert.deepEqual(goAways, [`GOAWAY ${comes.goAway}`], list(frames));
  } else {
    const frames = await peer.settle();
    assert.ok(!peer.isEnded, `the connection ended: ${list(frames)}`);
    if (comes === "nothing") assert.deepEqual(endings(frames), [], list(frames));
    else if ("reset" in comes)
      assert.deepEqual(endings(frames), [`RST_STREAM ${comes.reset} on ${comes.on}`], list(frames));
    else assertAnswered(peer, frames, comes.answered, comes.status ?? "200");
  }
  assert.deepEqual(server.errors, []);
  if (begin.length > 0) await assertServesOthers(server.port);
}

/** Whatever one client does, the next is served. */
export async function assertServesOthers(port: number): Promise<void> {
  await using other = await FramePeer.connect(port);
  other.send(headers(1, getFields));
  assertAnswered(other, await other.settle(), 1, "200");
}

export function assertAnswered(peer: FramePeer, frames: readonly Frame[], streamId: number, status: string): void {
  const own = frames.filter((one) => one.streamId === streamId);
  const head = own.find((one) => one.type === frameType.HEADERS);
  assert.ok(head !== undefined, `no answer on stream ${streamId}: ${list(frames)}`);
  assert.equal(peer.fields(head).find(([name]) => name === ":status")?.[1], status);
  const last = own.filter((one) => one.type === frameType.HEADERS || one.type === frameType.DATA).at(-1);
  assert.equal((last?.flags ?? 0) & 1, 1, `the answer has no end: ${list(frames)}`);
  if (status === "200") assert.deepEqual(endings(frames), [], list(frames));
}

/** Every GOAWAY and RST_STREAM, in words. */
export function endings(frames: readonly Frame[]): string[] {
  return frames.flatMap(({ type, streamId, payload }) => {
    if (type === frameType.GOAWAY) return [`GOAWAY ${codeName(payload.readUInt32BE(4))}`];
    return type === frameType.RST_STREAM ? [`RST_STREAM ${codeName(payload.readUInt32BE(0))} on ${streamId}`] : [];
  });
}

const codeName = (code: number): string =>
  Object.entries(errorCode).find(([, value]) => value === code)?.[0] ?? String(code);

const list = (frames: readonly Frame[]): string => frames.map(describeFrame).join(", ");

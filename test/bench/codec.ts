/**
 * What do the hand-written codecs save? The messages of GetState, SaveState and PublishEvent with 256 bytes and a map of two
 * entries, against the generated code. The goal: a GetStateRequest read and a GetStateResponse written in 0.4 µs together.
 */
import {
  GetStateRequest,
  GetStateResponse,
  PublishEventRequest,
  SaveStateRequest,
} from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { HotCodec } from "../../proto/hot/codec.ts";
import { publishEventRequest } from "../../proto/hot/event-messages.ts";
import type { MessageShape } from "../../proto/hot/message-shape.ts";
import { getStateRequest, getStateResponse, saveStateRequest } from "../../proto/hot/state-messages.ts";

const goalUs = 0.4;
const rounds = 30;
const calls = 30_000;

const codec = new HotCodec();
const bytes = new Uint8Array(256).fill(7);
const metadata = { ttlInSeconds: "600", partition: "eu-west-1a" };

interface Generated<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

interface Contest {
  readonly name: string;
  ours(): unknown;
  generated(): unknown;
}

function reading<Message>(
  name: string,
  shape: MessageShape<Message>,
  generated: Generated<Message>,
  message: Message,
): Contest {
  const encoded = Buffer.from(generated.encode(message).finish());
  return {
    name: `read ${name}`,
    ours: () => codec.decode(shape, encoded),
    generated: () => generated.decode(encoded),
  };
}

function writing<Message>(
  name: string,
  shape: MessageShape<Message>,
  generated: Generated<Message>,
  message: Message,
): Contest {
  return {
    name: `write ${name}`,
    ours: () => codec.encode(shape, message),
    // As the generated service definitions do it.
    generated: () => Buffer.from(generated.encode(message).finish()),
  };
}

const get: GetStateRequest = { storeName: "orders", key: "customer-4711", consistency: 2, metadata };
const got: GetStateResponse = { data: bytes, etag: "pXk3vQ2a.1f", metadata };
const item = { key: "customer-4711", value: bytes, etag: { value: "pXk3vQ2a.1f" }, metadata, options: undefined };
const save: SaveStateRequest = { storeName: "orders", states: [item] };
const event = { pubsubName: "events", topic: "orders", data: bytes, dataContentType: "application/json", metadata };

const contests: readonly Contest[] = [
  reading("GetStateRequest", getStateRequest, GetStateRequest, get),
  writing("GetStateResponse", getStateResponse, GetStateResponse, got),
  reading("SaveStateRequest", saveStateRequest, SaveStateRequest, save),
  reading("PublishEventRequest", publishEventRequest, PublishEventRequest, event),
  writing("GetStateRequest", getStateRequest, GetStateRequest, get),
  reading("GetStateResponse", getStateResponse, GetStateResponse, got),
];

function usOf(work: () => unknown): number {
  const beganMs = performance.now();
  for (let count = 0; count < calls; count++) work();
  return ((performance.now() - beganMs) * 1000) / calls;
}

const best = contests.map(() => ({ ours: Number.POSITIVE_INFINITY, generated: Number.POSITIVE_INFINITY }));
for (let round = 0; round < rounds; round++) {
  for (const [index, { ours, generated }] of contests.entries()) {
    const so = best[index];
    if (so === undefined) continue;
    so.ours = Math.min(so.ours, usOf(ours));
    so.generated = Math.min(so.generated, usOf(generated));
  }
}

console.log("message                        ours µs   generated µs   ours to generated");
for (const [index, { name }] of contests.entries()) {
  const { ours, generated } = best[index] ?? { ours: Number.NaN, generated: Number.NaN };
  const columns = [ours.toFixed(3).padStart(7), generated.toFixed(3).padStart(12)];
  console.log(`${name.padEnd(30)} ${columns.join("   ")}   ${`${(ours / generated).toFixed(2)}×`.padStart(17)}`);
}
const together = (best[0]?.ours ?? Number.NaN) + (best[1]?.ours ?? Number.NaN);
const isMet = together <= goalUs;
console.log(`a GetState's messages take ${together.toFixed(2)} µs (goal ${goalUs}: ${isMet ? "met" : "missed"})`);
process.exitCode = isMet ? 0 : 1;

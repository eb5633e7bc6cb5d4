/** The codecs by hand against the generated ones: what one writes or reads, the other does, to the byte. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BinaryReader, type BinaryWriter } from "@bufbuild/protobuf/wire";
import { Empty } from "../gen/google/protobuf/empty.ts";
import {
  DeleteBulkStateRequest,
  DeleteStateRequest,
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetBulkStateResponse,
  GetStateRequest,
  GetStateResponse,
  InvokeResponse,
  InvokeServiceRequest,
  PublishEventRequest,
  SaveStateRequest,
  TopicEventRequest,
  TopicEventResponse,
} from "../gen/spec/proto/runtime/v1/runtime.ts";
import { HotCodec } from "./codec.ts";
import { empty } from "./empty-message.ts";
import { publishEventRequest, topicEventRequest, topicEventResponse } from "./event-messages.ts";
import { invokeResponse, invokeServiceRequest } from "./invoke-messages.ts";
import type { MessageShape } from "./message-shape.ts";
import {
  deleteBulkStateRequest,
  deleteStateRequest,
  executeStateTransactionRequest,
  getBulkStateRequest,
  getBulkStateResponse,
  getStateRequest,
  getStateResponse,
  saveStateRequest,
} from "./state-messages.ts";
import { WireFormatError } from "./wire-reader.ts";

interface Generated<Message> {
  encode(message: Message): BinaryWriter;
  decode(input: BinaryReader | Uint8Array): Message;
  fromPartial(partial: object): Message;
}

/** Numbers from a seed (xorshift), so that a failure can be repeated. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  one<T>(...choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  text(): string {
    const alphabet = this.one(
      "abcdefgh-0123",
      "äöüß",
      "鍵日本",
      "🔑😀",
      "a\u0000\u007f\u0080\u07ff\u0800\uffff\ufeff",
      "\ud800x",
    );
    const length = this.one(0, 1, 3, 8, 12, 13, 16, 17, 30, 42, 43, 60, 127, 128, 300, 20_000);
    return Array.from({ length: this.below(length + 1) }, () => alphabet[this.below(alphabet.length)]).join("");
  }

  bytes(): Uint8Array {
    const length = this.one(0, 1, 100, 127, 128, 256, 16_383, 16_384, 40_000, 100_000);
    return Uint8Array.from({ length: this.one(length, this.below(length + 1)) }, () => this.below(256));
  }

  number(): number {
    return this.one(0, 1, 2, 127, 128, 300, 2 ** 31 - 1, -1, -(2 ** 31), this.below(1000));
  }

  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  map(): Record<string, string> {
    return Object.fromEntries(this.list(4, () => [this.one(this.text(), "ttlInSeconds", "7", ""), this.text()]));
  }

  maybe<T>(make: () => T): T | undefined {
    return this.below(3) === 0 ? undefined : make();
  }
}

interface Pair<Message> {
  readonly name: string;
  readonly shape: MessageShape<Message>;
  readonly generated: Generated<Message>;
  readonly random: (chance: Chance) => object;
}

/** Forgets the type of the message: the tests treat all pairs alike. */
const pair = <Message>(
  name: string,
  shape: MessageShape<Message>,
  generated: Generated<Message>,
  random: (chance: Chance) => object,
): Pair<unknown> => ({ name, shape, generated, random });

const options = (chance: Chance) => ({ concurrency: chance.number(), consistency: chance.number() });
const etag = (chance: Chance) => ({ value: chance.text() });
const stateItem = (chance: Chance) => ({
  key: chance.text(),
  value: chance.bytes(),
  etag: chance.maybe(() => etag(chance)),
  metadata: chance.map(),
  options: chance.maybe(() => options(chance)),
});
const items = (chance: Chance) => ({ storeName: chance.text(), states: chance.list(3, () => stateItem(chance)) });
const any = (chance: Chance) => ({ typeUrl: chance.text(), value: chance.bytes() });

const pairs: readonly Pair<unknown>[] = [
  pair("Empty", empty, Empty, () => ({})),
  pair("GetStateRequest", getStateRequest, GetStateRequest, (chance) => ({
    storeName: chance.text(),
    key: chance.text(),
    consistency: chance.number(),
    metadata: chance.map(),
  })),
  pair("GetStateResponse", getStateResponse, GetStateResponse, (chance) => ({
    data: chance.bytes(),
    etag: chance.text(),
    metadata: chance.map(),
  })),
  pair("GetBulkStateRequest", getBulkStateRequest, GetBulkStateRequest, (chance) => ({
    storeName: chance.text(),
    keys: chance.list(5, () => chance.text()),
    parallelism: chance.number(),
    metadata: chance.map(),
  })),
  pair("GetBulkStateResponse", getBulkStateResponse, GetBulkStateResponse, (chance) => ({
    items: chance.list(4, () => ({
      key: chance.text(),
      data: chance.bytes(),
      etag: chance.text(),
      error: chance.text(),
      metadata: chance.map(),
    })),
  })),
  pair("SaveStateRequest", saveStateRequest, SaveStateRequest, items),
  pair("DeleteBulkStateRequest", deleteBulkStateRequest, DeleteBulkStateRequest, items),
  pair("DeleteStateRequest", deleteStateRequest, DeleteStateRequest, (chance) => ({
    storeName: chance.text(),
    key: chance.text(),
    etag: chance.maybe(() => etag(chance)),
    options: chance.maybe(() => options(chance)),
    metadata: chance.map(),
  })),
  pair("ExecuteStateTransactionRequest", executeStateTransactionRequest, ExecuteStateTransactionRequest, (chance) => ({
    storeName: chance.text(),
    operations: chance.list(3, () => ({
      operationType: chance.text(),
      request: chance.maybe(() => stateItem(chance)),
    })),
    metadata: chance.map(),
  })),
  pair("PublishEventRequest", publishEventRequest, PublishEventRequest, (chance) => ({
    pubsubName: chance.text(),
    topic: chance.text(),
    data: chance.bytes(),
    dataContentType: chance.text(),
    metadata: chance.map(),
  })),
  pair("TopicEventRequest", topicEventRequest, TopicEventRequest, (chance) => ({
    id: chance.text(),
    source: chance.text(),
    type: chance.text(),
    specVersion: chance.text(),
    dataContentType: chance.text(),
    topic: chance.text(),
    data: chance.bytes(),
    pubsubName: chance.text(),
    metadata: chance.map(),
  })),
  pair("TopicEventResponse", topicEventResponse, TopicEventResponse, (chance) => ({ status: chance.number() })),
  pair("InvokeServiceRequest", invokeServiceRequest, InvokeServiceRequest, (chance) => ({
    id: chance.text(),
    message: chance.maybe(() => ({
      method: chance.text(),
      data: chance.maybe(() => any(chance)),
      contentType: chance.text(),
      httpExtension: chance.maybe(() => ({ verb: chance.number(), querystring: chance.text() })),
    })),
  })),
  pair("InvokeResponse", invokeResponse, InvokeResponse, (chance) => ({
    data: chance.maybe(() => any(chance)),
    contentType: chance.text(),
  })),
];

/**
 * The reader of the generated code, strict where that code is not: it takes a message that an end of group or a tag of 0
 * cuts short, one whose last field lies partly behind it, fields with the number 0, and endless numbers in unknown fields.
 */
class StrictReader extends BinaryReader {
  readonly #ends: number[] = [];
  /** The number that was read last, when nothing was read behind it. */
  #last: number | undefined;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    super(bytes);
    const read = this.uint32;
    this.uint32 = () => {
      this.#last = undefined;
      this.#last = read.call(this);
      return this.#last;
    };
  }

  override int32(): number {
    return this.#done(super.int32());
  }

  override string(): string {
    return this.#done(super.string());
  }

  override bytes(): Uint8Array {
    return this.#done(super.bytes());
  }

  /** Passes over a field that is not known; the library's own name for it. */
  override skip(wireType: number, fieldNumber = (this.#last ?? 0) >>> 3, limit?: number): Uint8Array {
    if (fieldNumber === 0) throw new Error("a field has the number 0");
    const skipped = super.skip(wireType, fieldNumber, limit);
    if (wireType === 0 && skipped.length > 10) throw new Error("a number has more than ten bytes");
    return this.#done(skipped);
  }

  /** The generated code sets it as it enters a message and as it leaves it. */
  get __tsProtoDecodeDepth(): number {
    return this.#depth;
  }

  set __tsProtoDecodeDepth(depth: number) {
    const isEntered = depth > this.#depth;
    const wasCut = this.#last !== undefined && (this.#last === 0 || (this.#last & 7) === 4);
    this.#depth = depth;
    if (isEntered) this.#ends.push(depth === 1 ? this.len : this.pos + (this.#last ?? 0));
    else if (this.#ends.pop() !== this.pos || wasCut) throw new Error("a message does not end where it should");
    this.#last = undefined;
  }

  #done<T>(value: T): T {
    this.#last = undefined;
    return value;
  }
}

/** What came of reading: the message, or that it was refused. */
type Outcome = { readonly message: unknown } | "refused";

const byHand = (codec: HotCodec, { shape }: Pair<unknown>, bytes: Buffer): Outcome => {
  try {
    return { message: codec.decode(shape, bytes) };
  } catch (error) {
    if (!(error instanceof WireFormatError)) throw error;
    assert.match(error.message, /^the message (has|ends|nests) .+ \(near byte \d+ of \d+\)$/);
    return "refused";
  }
};

const asGenerated = ({ generated }: Pair<unknown>, bytes: Buffer): Outcome => {
  try {
    return { message: generated.decode(new StrictReader(bytes)) };
  } catch {
    return "refused";
  }
};

/** The bytes with some of them changed, left out, doubled or put in. */
function mutated(bytes: Buffer, chance: Chance): Buffer {
  let result = Buffer.from(bytes);
  for (let count = 1 + chance.below(3); count > 0; count--) {
    // The structure of a message lies in its first bytes more often than in the last.
    const at = chance.below(chance.one(Math.min(result.length, 30), result.length) + 1);
    const kind = chance.below(5);
    if (kind === 0 && at < result.length) result[at] = chance.one(0, 3, 4, 11, 12, 0x80, 0xff, chance.below(256));
    else if (kind === 1) result = result.subarray(0, at);
    else if (kind === 2) result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1)]);
    else if (kind === 3) result = Buffer.concat([result.subarray(0, at), unknownField(chance), result.subarray(at)]);
    else result = Buffer.concat([result, result.subarray(at)]);
  }
  return result;
}

const unknownField = (chance: Chance): Buffer =>
  Buffer.from(
    chance.one(
      [0x78, 0x96, 0x01],
      [0x79, 1, 2, 3, 4, 5, 6, 7, 8],
      [0x7a, 0x03, 1, 2, 3],
      [0x7b, 0x08, 0x01, 0x7c],
      [0x7b, 0x73, 0x74, 0x7c],
      [0x7b, 0x7c, 0x7c],
      [0x7d, 1, 2, 3, 4],
      [0x7e],
      [0x08, 0x05],
      [0x0a, 0x01, 0x61],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ),
  );

describe("the codecs by hand", () => {
  for (const [index, one] of pairs.entries()) {
    const { name, shape, generated, random } = one;

    it(`write ${name} as the generated code does, and read it back`, () => {
      const chance = new Chance(1000 + index);
      const codec = new HotCodec();
      for (let count = 0; count < 150; count++) {
        const message = generated.fromPartial(random(chance));
        const expected = Buffer.from(generated.encode(message).finish());
        const written = codec.encode(shape, message);
        assert.ok(written.equals(expected), `message ${count}`);
        assert.deepEqual(codec.decode(shape, written), generated.decode(expected), `message ${count}`);
      }
    });

    it(`take or refuse what is left of ${name} after changes as the generated code does`, () => {
      const chance = new Chance(2000 + index);
      const codec = new HotCodec();
      const counts = { taken: 0, refused: 0 };
      for (let count = 0; count < 60; count++) {
        const message = generated.fromPartial(random(chance));
        const bytes = Buffer.from(generated.encode(message).finish());
        if (bytes.length > 20_000) continue;
        for (let change = 0; change < 20; change++) {
          const changed = mutated(bytes, chance);
          const outcome = byHand(codec, one, changed);
          assert.deepEqual(outcome, asGenerated(one, changed), changed.subarray(0, 400).toString("hex"));
          counts[outcome === "refused" ? "refused" : "taken"]++;
        }
      }
      assert.ok(counts.taken > 50 && counts.refused > 50, JSON.stringify(counts));
    });
  }

  const request = { storeName: "orders", key: "k", consistency: 1, metadata: { a: "b" } } as const;

  it("refuse a message that is cut anywhere within a field", () => {
    const codec = new HotCodec();
    const bytes = codec.encode(getStateRequest, request);
    const boundaries = new Set([0, 8, 11, 13, bytes.length]);
    for (let length = 0; length <= bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      if (boundaries.has(length)) codec.decode(getStateRequest, cut);
      else assert.throws(() => codec.decode(getStateRequest, cut), WireFormatError, `cut at ${length}`);
    }
  });

  it("refuse a field that ends behind the message that holds it", () => {
    // An item of four bytes whose key claims five.
    const bytes = Buffer.from([0x12, 0x04, 0x0a, 0x05, 0x61, 0x62, 0x63, 0x64, 0x65]);
    assert.throws(() => new HotCodec().decode(saveStateRequest, bytes), {
      name: "WireFormatError",
      message: "the message ends within a field of 5 bytes (near byte 4 of 9)",
    });
  });

  it("refuse groups that are nested deeper than a hundred, and skip those that are not", () => {
    const nested = (depth: number): Buffer =>
      Buffer.concat([Buffer.alloc(depth, 0x7b), Buffer.alloc(depth, 0x7c), Buffer.from([0x0a, 0x01, 0x61])]);
    const codec = new HotCodec();
    assert.equal(codec.decode(getStateRequest, nested(100)).storeName, "a");
    assert.throws(() => codec.decode(getStateRequest, nested(101)), /nests groups deeper than 100/);
    assert.throws(() => codec.decode(getStateRequest, nested(1_000_000)), /nests groups deeper than 100/);
  });

  it("treat a known field with another wire type as one that nobody knows", () => {
    const bytes = Buffer.from([0x08, 0x01, 0x12, 0x01, 0x6b]);
    assert.deepEqual(new HotCodec().decode(getStateRequest, bytes), {
      storeName: "",
      key: "k",
      consistency: 0,
      metadata: {},
    });
  });

  it("hand out bytes that are part of what was read", () => {
    const codec = new HotCodec();
    const bytes = codec.encode(getStateResponse, { data: Uint8Array.of(1, 2, 3), etag: "", metadata: {} });
    assert.equal(codec.decode(getStateResponse, bytes).data.buffer, bytes.buffer);
  });

  it("never write where an earlier message lies", () => {
    const codec = new HotCodec();
    const chance = new Chance(7);
    const written = Array.from({ length: 400 }, () => {
      const message = { data: chance.bytes(), etag: chance.text(), metadata: chance.map() };
      return { message, bytes: codec.encode(getStateResponse, message) };
    });
    for (const { message, bytes } of written) {
      const expected = Buffer.from(GetStateResponse.encode(message).finish());
      assert.ok(bytes.equals(expected));
    }
  });

  it("go on after a message that could not be written", () => {
    const codec = new HotCodec();
    const before = codec.encode(getStateRequest, request);
    const broken = {
      ...request,
      get metadata(): Record<string, string> {
        throw new Error("cannot be read");
      },
    };
    assert.throws(() => codec.encode(getStateRequest, broken), /cannot be read/);
    assert.ok(codec.encode(getStateRequest, request).equals(before));
  });
});

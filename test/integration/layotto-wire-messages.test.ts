/** Our messages against the classes that the npm package `layotto` generated from its own copy of the contract. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { createFileRegistry, type DescField, type DescMessage, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptors } from "../../proto/gen/descriptors.ts";
import * as wellKnownAny from "../../proto/gen/google/protobuf/any.ts";
import * as appCallback from "../../proto/gen/spec/proto/runtime/v1/appcallback.ts";
import * as runtime from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";

const layotto = createRequire(createRequire(import.meta.url).resolve("layotto/package.json"));
const theirClasses: Record<string, unknown> = {
  ...layotto("google-protobuf/google/protobuf/any_pb.js"),
  ...layotto("./proto/runtime/v1/runtime_pb.js"),
  ...layotto("./proto/runtime/v1/appcallback_pb.js"),
};
const ourCodecs: Record<string, unknown> = { ...wellKnownAny, ...appCallback, ...runtime };

/** The package is older than these, or has not got their service; nothing else may be missing from it. */
const newerThanThePackage = [
  "ApplyConfigurationResponse",
  "ComponentConfig",
  "DynamicConfiguration",
  "SubscribeTopicEventsRequest",
  "SubscribeTopicEventsRequestInitial",
  "SubscribeTopicEventsRequestProcessed",
  "SubscribeTopicEventsResponse",
  "SubscribeTopicEventsResponseInitial",
];

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptors, "base64")));
const messages = [...registry].filter(
  (desc): desc is DescMessage => desc.kind === "message" && desc.file.proto.package === "spec.proto.runtime.v1",
);

interface TheirMessage {
  serializeBinary(): Uint8Array;
}
interface TheirClass {
  new (): TheirMessage;
  deserializeBinary(bytes: Uint8Array): TheirMessage;
}
interface OurCodec {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

function theirClass(name: string): TheirClass {
  const found = theirClasses[name];
  assert.ok(typeof found === "function" && "deserializeBinary" in found, `the package has ${name}`);
  return found as unknown as TheirClass;
}

function ourCodec(name: string): OurCodec {
  const found = ourCodecs[name];
  assert.ok(typeof found === "object" && found !== null && "encode" in found, `we have ${name}`);
  return found as OurCodec;
}

/** The name that protoc gives a field's accessors in JavaScript: `store_name` is StoreName, `storeName` is Storename. */
function accessorOf({ name }: DescField): string {
  const words = name.split("_").map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase());
  return words.join("");
}

function call(message: TheirMessage, method: string, ...values: unknown[]): unknown {
  const found: unknown = Reflect.get(message, method);
  assert.ok(typeof found === "function", `the package's class has ${method}`);
  return Reflect.apply(found, message, values);
}

/** An example of one value, as ours and as theirs. */
interface Example {
  readonly ours: unknown;
  readonly theirs: unknown;
}

function scalarExample(type: ScalarType, seed: string): Example {
  const same = (value: unknown): Example => ({ ours: value, theirs: value });
  if (type === ScalarType.STRING) return same(`${seed} ü`);
  if (type === ScalarType.BYTES) return same(new Uint8Array([0, 255, seed.length]));
  if (type === ScalarType.BOOL) return same(true);
  if (type === ScalarType.INT32) return same(-seed.length);
  if (type === ScalarType.INT64) return same(2n ** 50n + BigInt(seed.length));
  throw new TypeError(`no example for scalar ${ScalarType[type]}`);
}

function int64Example(field: DescField, { ours }: Example): Example {
  // The package has one field as a string (jstype), the others as numbers.
  return { ours, theirs: field.name === "next_id" ? String(ours) : Number(ours) };
}

function valueExample(
  field: DescField,
  of: { message?: DescMessage | undefined; scalar?: ScalarType | undefined; lastEnum?: number | undefined },
): Example {
  if (of.message !== undefined) return messageExample(of.message);
  if (of.lastEnum !== undefined) return { ours: of.lastEnum, theirs: of.lastEnum };
  const example = scalarExample(of.scalar ?? ScalarType.STRING, `${field.parent.name}.${field.name}`);
  return of.scalar === ScalarType.INT64 ? int64Example(field, example) : example;
}

/** Every field set, those within included. */
function messageExample(desc: DescMessage): { ours: Record<string, unknown>; theirs: TheirMessage } {
  const ours: Record<string, unknown> = {};
  const theirs = new (theirClass(desc.name))();
  for (const field of desc.fields) {
    const example = valueExample(field, {
      message: field.message,
      scalar: field.scalar,
      lastEnum: field.enum?.values.at(-1)?.number,
    });
    const accessor = accessorOf(field);
    if (field.fieldKind === "list") {
      ours[field.localName] = [example.ours, example.ours];
      call(theirs, `set${accessor}List`, [example.theirs, example.theirs]);
    } else if (field.fieldKind === "map") {
      ours[field.localName] = { "a key": example.ours };
      const map = call(theirs, `get${accessor}Map`);
      assert.ok(map instanceof Object && "set" in map && typeof map.set === "function");
      map.set("a key", example.theirs);
    } else {
      ours[field.localName] = example.ours;
      call(theirs, `set${accessor}`, example.theirs);
    }
  }
  return { ours, theirs };
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

describe("messages of the Layotto contract", () => {
  it("are all in the package, but for those that are newer", () => {
    const missing = messages.map(({ name }) => name).filter((name) => !(name in theirClasses));
    assert.deepEqual(missing.sort(), newerThanThePackage);
    assert.ok(messages.length - missing.length > 50, `${messages.length} messages`);
  });

  for (const desc of messages.filter(({ name }) => !newerThanThePackage.includes(name))) {
    it(`${desc.name} has the same bytes, read and written by either side`, () => {
      const { ours, theirs } = messageExample(desc);
      const codec = ourCodec(desc.name);
      const ourBytes = codec.encode(ours).finish();
      const theirBytes = theirs.serializeBinary();
      assert.equal(hex(theirClass(desc.name).deserializeBinary(ourBytes).serializeBinary()), hex(theirBytes));
      assert.equal(hex(codec.encode(codec.decode(theirBytes)).finish()), hex(ourBytes));
      assert.deepEqual(codec.decode(theirBytes), codec.decode(ourBytes));
    });

    it(`${desc.name} has no field that we do not`, () => {
      const setters = Object.getOwnPropertyNames(Object.getPrototypeOf(new (theirClass(desc.name))()));
      const theirFields = setters.flatMap(
        (name) => /^(?:clear(.+?)(?:List|Map)|set(.+?)(?:List)?)$/.exec(name)?.slice(1) ?? [],
      );
      const ourFields = new Set(desc.fields.map(accessorOf));
      assert.deepEqual(
        theirFields.filter((name) => name !== undefined && !ourFields.has(name)),
        [],
      );
    });
  }

  it("are carried by methods of the same paths and shapes", () => {
    const { RuntimeService: theirs } = layotto("./proto/runtime/v1/runtime_grpc_pb.js") as {
      RuntimeService: Record<string, { path: string; requestStream: boolean; responseStream: boolean }>;
    };
    for (const [name, { path, requestStream, responseStream }] of Object.entries(runtime.RuntimeService)) {
      if (name === "subscribeTopicEvents") continue;
      const { path: theirPath, requestStream: asks, responseStream: answers } = theirs[name] ?? {};
      assert.deepEqual([theirPath, asks, answers], [path, requestStream, responseStream]);
    }
  });
});

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import * as api from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { generateAssemblyScript } from "../../scripts/gen-assemblyscript.ts";
import { ask, temporaryDirectory } from "./plugin-sdk-guest.ts";
import type { Codec } from "./plugin-sdk-runtime.ts";
import { deskGuest, plugins } from "./plugin-sdk-scene.ts";

describe("the generated messages", () => {
  const bytes = new Uint8Array(300).fill(7);
  const sample = <Message>(codec: Codec<Message>, message: Message) => ({
    bytes: codec.encode(message).finish(),
    check: (bytes: Uint8Array) => assert.deepEqual(codec.decode(bytes), message),
  });
  const samples = {
    SaveStateRequest: sample(api.SaveStateRequest, {
      storeName: "stock",
      states: [
        {
          key: "k",
          value: bytes,
          etag: { value: "3" },
          metadata: { a: "1", ü: "2", long: "x".repeat(20_000) },
          options: { concurrency: 1, consistency: 2 },
        },
        { key: "", value: new Uint8Array(), etag: undefined, metadata: {}, options: undefined },
      ],
    }),
    InvokeServiceRequest: sample(api.InvokeServiceRequest, {
      id: "shop",
      message: {
        method: "/m",
        data: { typeUrl: "t", value: bytes },
        contentType: "c",
        httpExtension: { verb: 9, querystring: "q=1" },
      },
    }),
    GetNextIdResponse: sample(api.GetNextIdResponse, { nextId: -(2n ** 63n) }),
    GetBulkSecretResponse: sample(api.GetBulkSecretResponse, {
      data: { a: { secrets: { x: "y" } }, b: { secrets: {} } },
    }),
    SubscribeTopicEventsRequest: sample(api.SubscribeTopicEventsRequest, {
      subscribeTopicEventsRequestType: {
        $case: "initialRequest",
        value: { pubsubName: "p", topic: "t", metadata: {}, deadLetterTopic: "" },
      },
    }),
    TopicEventRequest: sample(api.TopicEventRequest, {
      id: "1",
      source: "s",
      type: "t",
      specVersion: "1.0",
      dataContentType: "c",
      topic: "o",
      data: bytes,
      pubsubName: "p",
      metadata: { m: "" },
    }),
  };

  for (const [message, { bytes, check }] of Object.entries(samples)) {
    test(`read and write ${message} as the TypeScript ones do`, async () => {
      await using guest = await deskGuest();
      check((await ask(guest, "POST", `/codec/${message}`, bytes)).bytes);
    });
  }

  test("leave out fields they do not know, and refuse what is not a message", async () => {
    await using guest = await deskGuest();
    const unknown = Uint8Array.of(0x08, 5, 0x7a, 2, 1, 2, 0xf9, 1, ...new Uint8Array(8), 0xfd, 1, 0, 0, 0, 0);
    const answer = await ask(guest, "POST", "/codec/GetNextIdResponse", unknown);
    assert.deepEqual([...answer.bytes], [0x08, 5]);
    for (const broken of [[8], [0x0b], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f], new Array(12).fill(0x80)]) {
      const refused = await ask(guest, "POST", "/codec/SaveStateRequest", Uint8Array.from(broken));
      assert.equal(`${refused.status} ${refused.text}`, "400 INTERNAL: the bytes are not a SaveStateRequest");
    }
  });

  test("are those that the .proto files give", async () => {
    await using directory = await temporaryDirectory();
    generateAssemblyScript(directory.path);
    for (const file of [
      "spec/proto/runtime/v1/runtime.ts",
      "spec/proto/runtime/v1/appcallback.ts",
      "google/protobuf/any.ts",
    ]) {
      const checkedIn = await readFile(join(plugins, "sdk/assembly/gen", file), "utf8");
      assert.equal(await readFile(join(directory.path, file), "utf8"), checkedIn, file);
    }
  });
});

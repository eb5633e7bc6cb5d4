import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytesOf, callWith, eventually, silentLog, unique } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { RuntimeError } from "../error.ts";
import { memoryPubSub } from "./memory.ts";
import type { PubSub } from "./pubsub.ts";

describe("pub/sub in memory", () => {
  const open = (
    settings: object = {},
    warn: (fields: object, message: string) => void = () => undefined,
  ): Promise<PubSub> =>
    memoryPubSub.open(memoryPubSub.config.parse(settings), openContext("events", { log: { ...silentLog, warn } }));
  const publish = (pubsub: PubSub, topic: string, data: string | Uint8Array): Promise<void> => {
    const bytes = typeof data === "string" ? bytesOf(data) : data;
    return pubsub.publish({ topic, data: bytes, contentType: "text/plain", metadata: {} }, callWith());
  };
  /** Subscribes with a handler that holds each message until it is let go. */
  const hold = async (pubsub: PubSub, topic: string) => {
    const gate = Promise.withResolvers<void>();
    const texts: string[] = [];
    const subscription = await pubsub.subscribe({ topic, group: "group", metadata: {} }, async ({ data }, signal) => {
      texts.push(new TextDecoder().decode(data));
      const aborted = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      await Promise.race([gate.promise, aborted]);
    });
    return { texts, letGo: gate.resolve, subscription };
  };

  it("lets other messages go ahead of one that is rejected again and again", async () => {
    await using pubsub = await open();
    const topic = unique("topic");
    const taken: string[] = [];
    let rejections = 0;
    await using _ = await pubsub.subscribe({ topic, group: "group", metadata: {} }, async ({ data }) => {
      const text = new TextDecoder().decode(data);
      if (text === "poison" && ++rejections < 4) throw new Error("the handler failed");
      taken.push(text);
    });
    for (const text of ["poison", "one", "two", "three"]) await publish(pubsub, topic, text);
    await eventually("all are taken", () => taken.length === 4);
    assert.deepEqual(taken, ["one", "two", "three", "poison"]);
  });

  it("refuses to publish more messages than a group may have waiting, and goes on when there is room", async () => {
    await using pubsub = await open({ maxPending: 2 });
    const held = await hold(pubsub, "topic");
    await publish(pubsub, "topic", "one");
    await publish(pubsub, "topic", "two");
    await assert.rejects(publish(pubsub, "topic", "three"), isFull);
    await publish(pubsub, "another topic", "is not concerned");
    held.letGo();
    await eventually("there is room again", () =>
      publish(pubsub, "topic", "three").then(
        () => true,
        () => false,
      ),
    );
    await eventually("it was delivered", () => held.texts.includes("three"));
    assert.deepEqual(held.texts, ["one", "two", "three"]);
  });

  it("refuses to publish more bytes than a group may have waiting", async () => {
    await using pubsub = await open({ maxBytes: 10_000 });
    await using _ = (await hold(pubsub, "topic")).subscription;
    await publish(pubsub, "topic", new Uint8Array(6_000));
    await assert.rejects(publish(pubsub, "topic", new Uint8Array(6_000)), isFull);
    await publish(pubsub, "topic", new Uint8Array(1_000));
  });

  it("makes as many deliveries at a time as it is set to", async () => {
    await using pubsub = await open({ concurrency: 3 });
    const held = await hold(pubsub, "topic");
    for (let index = 0; index < 5; index++) await publish(pubsub, "topic", `${index}`);
    await eventually("three are under way", () => held.texts.length === 3);
    held.letGo();
    await eventually("the others follow", () => held.texts.length === 5);
  });

  it("keeps messages for a group whose subscriber comes back, those published in between too", async () => {
    await using pubsub = await open();
    const leaving = await hold(pubsub, "topic");
    await publish(pubsub, "topic", "held");
    await eventually("it is under way", () => leaving.texts.length === 1);
    await leaving.subscription[Symbol.asyncDispose]();
    await publish(pubsub, "topic", "in between");
    const back = await hold(pubsub, "topic");
    back.letGo();
    await eventually("both have come", () => back.texts.length === 2);
    assert.deepEqual(back.texts, ["held", "in between"]);
  });

  it("drops the messages of a group that nobody comes back to, and says how many", async () => {
    const dropped = Promise.withResolvers<object>();
    await using pubsub = await open({ retentionMs: 1 }, dropped.resolve);
    const leaving = await hold(pubsub, "topic");
    await publish(pubsub, "topic", "one");
    await publish(pubsub, "topic", "two");
    await leaving.subscription[Symbol.asyncDispose]();
    assert.deepEqual(await dropped.promise, { topic: "topic", group: "group", messages: 2 });
  });

  it("does not let a group without subscribers hold up the publishers", async () => {
    await using pubsub = await open({ maxPending: 1 });
    const leaving = await hold(pubsub, "topic");
    await leaving.subscription[Symbol.asyncDispose]();
    for (let index = 0; index < 5; index++) await publish(pubsub, "topic", `${index}`);
  });
});

const isFull = (error: unknown): boolean => error instanceof RuntimeError && error.code === "RESOURCE_EXHAUSTED";

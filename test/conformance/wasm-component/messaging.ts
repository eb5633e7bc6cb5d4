/** What components publish and take through wasmcloud:messaging. */
import assert from "node:assert/strict";
import { eventually, unique } from "../backend.ts";
import { type StandardScene, topics } from "./standard-scene.ts";

type Check = (name: string, body: () => Promise<void>) => void;

/** `pubsub` is the first pub/sub component that the guests were granted. */
export function messagingChecks(check: Check, scene: () => StandardScene, pubsub: string): void {
  /** What the other guest kept of the last message of the topic. */
  const kept = async (topic: string): Promise<unknown> => {
    const text = await scene().call("draft2.get", "kept", topic);
    return typeof text === "string" ? JSON.parse(text) : undefined;
  };
  const keptText = async (topic: string, text: string): Promise<void> =>
    eventually(`'${text}' of ${topic} reaches the component`, async () => {
      const message = await kept(topic);
      return typeof message === "object" && message !== null && "text" in message && message.text === text;
    });

  check("a message that a component publishes reaches another, byte for byte", async () => {
    const text = `${unique("raw")} \0\x01\xff`;
    await scene().call("messaging.publish", topics.raw, text, null);
    await keptText(topics.raw, text);
    assert.deepEqual(await kept(topics.raw), { text, replyTo: null });
  });

  check("a subject may name the component before its topic", async () => {
    const text = unique("named");
    await scene().call("messaging.publish", `${pubsub}/${topics.raw}`, text, null);
    await keptText(topics.raw, text);
    await scene().call("messaging.publish", `quiet/${topics.raw}`, "nobody listens there", null);
    assert.deepEqual(await kept(topics.raw), { text, replyTo: null });
  });

  check("an event of an application comes without its envelope", async () => {
    const text = unique("wrapped");
    await scene().client.pubsub.publish({ pubsub, topic: topics.wrapped, data: text });
    await keptText(topics.wrapped, text);
  });

  check("a message that a component refuses is given again", async () => {
    const text = unique("fail once");
    await scene().call("messaging.publish", topics.failing, text, null);
    await keptText(topics.failing, text);
    assert.equal(await scene().call("draft2.exists", "kept", text), true);
  });

  check("replies are not offered, and a sentence says so", async () => {
    await assert.rejects(scene().call("messaging.request", topics.raw, "x"), /nothing carries replies here/);
    await assert.rejects(scene().call("messaging.publish", topics.raw, "x", "answers"), /nothing carries replies here/);
  });
}

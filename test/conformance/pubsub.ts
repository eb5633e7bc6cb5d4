/** What every pub/sub component does, whatever lies behind it. */
import assert from "node:assert/strict";
import type { Deliver, PubSub, ReceivedMessage } from "../../components/pubsub/pubsub.ts";
import { PubSubBlock } from "../../runtime/api/pubsub.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { type Backend, bytesOf, callWith, eventually, oddNames, openedFor, storesOf, unique } from "./backend.ts";
import { durabilityChecks } from "./pubsub-durability.ts";

/** Registers the tests of a pub/sub component. */
export function testPubSub(backend: Backend<PubSub>): void {
  const { check } = backend.checks;
  const pubsub = openedFor(backend);
  const publish = (topic: string, text: string, metadata: Record<string, string> = {}): Promise<void> =>
    pubsub().publish({ topic, data: bytesOf(text), contentType: "text/plain", metadata }, callWith());
  const subscribe = (topic: string, group: string, deliver: Deliver): Promise<AsyncDisposable> =>
    pubsub().subscribe({ topic, group, metadata: {} }, deliver);
  /** Subscribes and notes what comes, which `answer` may reject. */
  const listen = async (topic: string, group: string, answer: Deliver = async () => undefined): Promise<Listener> => {
    const texts: string[] = [];
    const subscription = await subscribe(topic, group, async (message, signal) => {
      texts.push(textOf(message));
      await answer(message, signal);
    });
    return { texts, [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose]() };
  };

  check("delivers a message as it was published", async () => {
    const topic = unique("topic");
    const messages: ReceivedMessage[] = [];
    await using _ = await subscribe(topic, "group", async (message) => {
      messages.push(message);
    });
    const data = Buffer.from([0, 255, 128, 10]);
    const metadata = { ttl: "60", oddName: "ключ" };
    await pubsub().publish({ topic, data, contentType: "application/x-test", metadata }, callWith());
    data.fill(1);
    await eventually("the message has come", () => messages.length === 1);
    const [message] = messages;
    assert.ok(message !== undefined && message.id !== "");
    assert.equal(message.topic, topic);
    assert.equal(message.contentType, "application/x-test");
    assert.deepEqual([...message.data], [0, 255, 128, 10]);
    assert.equal(message.metadata.ttl, "60");
    assert.equal(message.metadata.oddName, "ключ");
  });

  for (const [what, size] of [
    ["nothing", 0],
    ["a megabyte", 1024 ** 2],
  ] as const) {
    check(`delivers a message of ${what}`, async () => {
      const topic = unique("topic");
      const data = Uint8Array.from({ length: size }, (_, index) => (index * 31) % 251);
      const found: Uint8Array[] = [];
      await using _ = await subscribe(topic, "group", async (message) => {
        found.push(message.data);
      });
      await pubsub().publish({ topic, data, contentType: "application/octet-stream", metadata: {} }, callWith());
      await eventually("the message has come", () => found.length === 1);
      assert.ok(found[0] !== undefined && Buffer.from(found[0]).equals(data));
    });
  }

  check("delivers all messages", async () => {
    const topic = unique("topic");
    await using listener = await listen(topic, "group");
    const texts = Array.from({ length: 30 }, (_, index) => `message ${index}`);
    for (const text of texts) await publish(topic, text);
    await eventually("all messages have come", () => listener.texts.length >= texts.length);
    assert.deepEqual(listener.texts.toSorted(), texts.toSorted());
  });

  /** Publishes messages of which some are rejected at first; resolves to all in the order of their first delivery. */
  const firstDeliveries = async (texts: readonly string[]): Promise<string[]> => {
    const topic = unique("topic");
    const first: string[] = [];
    const failed = new Set<string>();
    const done = new Set<string>();
    await using _ = await subscribe(topic, "group", async (message) => {
      const text = textOf(message);
      if (!first.includes(text)) first.push(text);
      const isUnlucky = first.indexOf(text) < 2 || first.indexOf(text) % 5 === 0;
      if (isUnlucky && !failed.has(text)) {
        failed.add(text);
        throw new Error("the handler failed");
      }
      done.add(text);
    });
    for (const text of texts) await publish(topic, text);
    await eventually("all messages were taken", () => done.size === texts.length);
    return first;
  };
  const thirty = Array.from({ length: 30 }, (_, index) => `message ${index}`);

  check("delivers all messages while some of them are rejected", { needs: "redelivery" }, async () => {
    assert.deepEqual((await firstDeliveries(thirty)).toSorted(), thirty.toSorted());
  });

  check("delivers messages of one key in order", async () => {
    const topic = unique("topic");
    await using listener = await listen(topic, "group");
    const keys = ["one", "two", "three"];
    for (let index = 0; index < 10; index++) {
      for (const partitionKey of keys) await publish(topic, `${partitionKey} ${index}`, { partitionKey });
    }
    await eventually("all messages have come", () => listener.texts.length >= 10 * keys.length);
    for (const key of keys) {
      const ofKey = listener.texts.filter((text) => text.startsWith(key));
      assert.deepEqual(
        ofKey,
        ofKey.map((_, index) => `${key} ${index}`),
      );
    }
  });

  check("delivers messages in order", { needs: "ordered" }, async () => {
    const topic = unique("topic");
    await using listener = await listen(topic, "group");
    for (const text of thirty) await publish(topic, text);
    await eventually("all messages have come", () => listener.texts.length >= thirty.length);
    assert.deepEqual(listener.texts, thirty);
  });

  check(
    "delivers messages for the first time in order while some of them are rejected",
    { needs: ["ordered", "redelivery"] },
    async () => {
      assert.deepEqual(await firstDeliveries(thirty), thirty);
    },
  );

  check(
    "delivers a rejected message again, the same as before, until it is taken",
    { needs: "redelivery" },
    async () => {
      const topic = unique("topic");
      const deliveries: ReceivedMessage[] = [];
      await using listener = await listen(topic, "group", async (message) => {
        deliveries.push(message);
        message.data.fill(0);
        if (deliveries.length < 4) throw new Error("the handler failed");
      });
      await publish(topic, "again and again");
      await eventually("the message was taken", () => deliveries.length === 4);
      assert.deepEqual(new Set(listener.texts), new Set(["again and again"]));
      assert.equal(new Set(deliveries.map(({ id }) => id)).size, 1);
      await publish(topic, "next");
      await eventually("the next message has come", () => listener.texts.includes("next"));
      assert.equal(listener.texts.filter((text) => text !== "next").length, 4);
    },
  );

  check("gives different messages different ids", async () => {
    const topic = unique("topic");
    const ids: string[] = [];
    await using _ = await subscribe(topic, "group", async ({ id }) => {
      ids.push(id);
    });
    for (let index = 0; index < 5; index++) await publish(topic, "the same");
    await eventually("all have come", () => ids.length === 5);
    assert.equal(new Set(ids).size, 5);
  });

  check("gives each group all messages, and each message to one member of a group", async () => {
    const topic = unique("topic");
    await using alone = await listen(topic, "alone");
    await using one = await listen(topic, "shared");
    await using two = await listen(topic, "shared");
    const texts = Array.from({ length: 40 }, (_, index) => `message ${index}`);
    await Promise.all(texts.map((text) => publish(topic, text)));
    await eventually("both groups have all", () => {
      return alone.texts.length >= texts.length && one.texts.length + two.texts.length >= texts.length;
    });
    assert.deepEqual(alone.texts.toSorted(), texts.toSorted());
    assert.deepEqual([...one.texts, ...two.texts].toSorted(), texts.toSorted());
  });

  check("lets one group take what another rejects", { needs: "redelivery" }, async () => {
    const topic = unique("topic");
    let rejections = 0;
    await using _ = await listen(topic, "rejecting", async () => {
      if (++rejections < 3) throw new Error("the handler failed");
    });
    await using other = await listen(topic, "taking");
    await publish(topic, "message");
    await eventually("the rejecting group has taken it", () => rejections === 3);
    await eventually("the other has it", () => other.texts.length > 0);
    assert.deepEqual(other.texts, ["message"]);
  });

  check("keeps topics apart", async () => {
    const [first, second] = [unique("topic"), unique("topic")];
    await using one = await listen(first, "group");
    await using two = await listen(second, "group");
    for (let index = 0; index < 10; index++) {
      await publish(first, `first ${index}`);
      await publish(second, `second ${index}`);
    }
    await eventually("all have come", () => one.texts.length >= 10 && two.texts.length >= 10);
    assert.ok(one.texts.length === 10 && one.texts.every((text) => text.startsWith("first")));
    assert.ok(two.texts.length === 10 && two.texts.every((text) => text.startsWith("second")));
  });

  check("ends each subscription alone: the ended one gets nothing more, the others all", async () => {
    const topic = unique("topic");
    const listeners = [await listen(topic, "one"), await listen(topic, "two"), await listen(topic, "three")];
    for (let ended = 0; ended < listeners.length; ended++) {
      await listeners[ended]?.[Symbol.asyncDispose]();
      await using witness = await listen(topic, unique("witness"));
      const text = `round ${ended}`;
      await publish(topic, text);
      const going = [witness, ...listeners.slice(ended + 1)];
      await eventually("those who go on have it", () => going.every(({ texts }) => texts.includes(text)));
      for (const { texts } of listeners.slice(0, ended + 1)) assert.ok(!texts.includes(text));
    }
  });

  check(
    "aborts the deliveries of a subscription that ends, and gives their messages to the next of the group",
    { needs: "redelivery" },
    async () => {
      const topic = unique("topic");
      const began = Promise.withResolvers<void>();
      const leaving = await subscribe(topic, "group", async (_message, signal) => {
        began.resolve();
        await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        });
      });
      for (const text of ["held", "behind it"]) await publish(topic, text);
      await began.promise;
      await leaving[Symbol.asyncDispose]();
      await using next = await listen(topic, "group");
      await eventually("the next has what was not taken", () => {
        return next.texts.includes("held") && next.texts.includes("behind it");
      });
    },
  );

  check("does not publish for a call that was cancelled before it began", async () => {
    const topic = unique("topic");
    await using listener = await listen(topic, "group");
    const reason = new Error("the caller has gone");
    const cancelled = { topic, data: bytesOf("cancelled"), contentType: "text/plain", metadata: {} };
    await assert.rejects(pubsub().publish(cancelled, callWith(AbortSignal.abort(reason))), reason);
    await publish(topic, "next");
    await eventually("the next message has come", () => listener.texts.includes("next"));
    assert.deepEqual(listener.texts, ["next"]);
  });

  check("delivers what many publish at once", async () => {
    const topic = unique("topic");
    await using listener = await listen(topic, "group");
    const texts = [...oddNames, ...Array.from({ length: 200 }, (_, index) => `message ${index}`)];
    await Promise.all(texts.map((text) => publish(topic, text, { text: "of many" })));
    await eventually("all have come", () => listener.texts.length >= texts.length);
    assert.deepEqual(listener.texts.toSorted(), texts.toSorted());
  });

  check("hands a subscriber that takes nothing only so many messages at a time", async () => {
    const topic = unique("topic");
    let inHand = 0;
    await using _ = await subscribe(topic, "group", async (_message, signal) => {
      inHand++;
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    });
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => publish(topic, `message ${index}`)));
    }
    await using witness = await listen(unique("witness"), "group");
    await eventually("it has some", () => inHand > 0);
    assert.ok(inHand <= 1000, `${inHand} at a time`);
    assert.deepEqual(witness.texts, []);
  });

  apiChecks(backend, pubsub);

  check("takes messages of a topic that nobody subscribes to", async () => {
    await publish(unique("topic"), "to nobody");
  });

  durabilityChecks(backend);
}

/** Registers the checks of what the API makes of the component. */
function apiChecks(backend: Backend<PubSub>, pubsub: () => PubSub): void {
  const { check } = backend.checks;
  const openBlock = (): PubSubBlock => {
    const stores = storesOf("pubsub", backend, pubsub());
    return new PubSubBlock({
      stores,
      appId: unique("app"),
      log: createLog({ level: "silent" }),
      metrics: new Metrics(),
    });
  };
  const publishTo = (block: PubSubBlock, topic: string, text: string, metadata: Record<string, string> = {}) =>
    block.publish(
      { pubsub: "conformance", topic, data: bytesOf(text), contentType: "text/plain", metadata },
      callWith(),
    );

  check("carries events to the dead-letter topic that are dropped, or tried too often", async () => {
    await using block = openBlock();
    const [topic, deadLetterTopic] = [unique("topic"), unique("dead")];
    const dead: string[] = [];
    const taken: string[] = [];
    const subscription = { pubsub: "conformance", topic, deadLetterTopic, metadata: { maxAttempts: "2" } };
    await using _dead = await block.subscribe(
      { ...subscription, topic: deadLetterTopic, deadLetterTopic: "" },
      async ({ data }) => {
        dead.push(Buffer.from(data).toString());
        return "success";
      },
    );
    await using _ = await block.subscribe(subscription, async ({ data }) => {
      const text = Buffer.from(data).toString();
      if (text === "dropped") return "drop";
      if (text === "failing") throw new Error("the handler failed");
      taken.push(text);
      return "success";
    });
    for (const text of ["dropped", "failing", "good"]) await publishTo(block, topic, text);
    await eventually("the dead letters have come", () => dead.length === 2 && taken.length === 1);
    assert.deepEqual(dead.toSorted(), ["dropped", "failing"]);
    assert.deepEqual(taken, ["good"]);
  });

  check("delivers no event whose time has passed", { needs: "durable" }, async () => {
    await using block = openBlock();
    const topic = unique("topic");
    const subscription = { pubsub: "conformance", topic, metadata: {} };
    await (await block.subscribe(subscription, async () => "success"))[Symbol.asyncDispose]();
    await publishTo(block, topic, "short", { ttlInSeconds: "1" });
    const expiresAtMs = Date.now() + 1_000;
    await publishTo(block, topic, "long", { ttlInSeconds: "600" });
    await eventually("its time has passed", () => Date.now() > expiresAtMs);
    const taken: string[] = [];
    await using _ = await block.subscribe(subscription, async ({ data }) => {
      taken.push(Buffer.from(data).toString());
      return "success";
    });
    await eventually("the other has come", () => taken.includes("long"));
    assert.deepEqual(taken, ["long"]);
  });
}

interface Listener extends AsyncDisposable {
  readonly texts: readonly string[];
}

const textOf = ({ data }: ReceivedMessage): string => new TextDecoder().decode(data);

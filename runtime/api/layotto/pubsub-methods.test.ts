import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { memoryPubSub } from "../../../components/pubsub/memory.ts";
import type {
  SubscribeTopicEventsRequest,
  SubscribeTopicEventsResponse,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { callContext, oneStore, silentLog } from "../../../test/support/api.ts";
import { openContext } from "../../../test/support/open-context.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { BoundedQueue } from "../bounded-queue.ts";
import { PubSubBlock } from "../pubsub.ts";
import { storeSet } from "../stores.ts";
import { pubsubMethods } from "./pubsub-methods.ts";

/** A pub/sub component that delivers several events of a topic at a time. */
async function openBlock() {
  const settings = memoryPubSub.config.parse({ concurrency: 4 });
  const store = await memoryPubSub.open(settings, openContext("events"));
  const stores = storeSet("pubsub", oneStore("events", store));
  const block = new PubSubBlock({ stores, appId: "app", log: silentLog, metrics: new Metrics() });
  const publish = (event: object) =>
    block.publish(
      {
        pubsub: "events",
        topic: "orders",
        data: Buffer.from(JSON.stringify({ specversion: "1.0", source: "shop", type: "order", ...event })),
        contentType: "application/cloudevents+json",
        metadata: {},
      },
      callContext(),
    );
  return { block, publish, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** A stream of SubscribeTopicEvents as the transport gives it; `write` may refuse. */
function openStream(block: PubSubBlock, write: (response: SubscribeTopicEventsResponse) => Promise<void>) {
  const requests = new BoundedQueue<SubscribeTopicEventsRequest>(100);
  const gone = new AbortController();
  const subscribed = Promise.withResolvers<void>();
  const stream = {
    call: callContext({ signal: gone.signal }),
    draining: new AbortController().signal,
    requests,
    write: async (response: SubscribeTopicEventsResponse) => {
      await write(response);
      if (idOf(response) === undefined) subscribed.resolve();
    },
  };
  requests.push({
    subscribeTopicEventsRequestType: {
      $case: "initialRequest",
      value: { pubsubName: "events", topic: "orders", metadata: {} },
    },
  });
  const ended = pubsubMethods(block).subscribeTopicEvents(stream);
  return { requests, gone, subscribed: subscribed.promise, ended };
}

/** An event's id, or nothing for what announces the subscription. */
const idOf = ({ subscribeTopicEventsResponseType: type }: SubscribeTopicEventsResponse): string | undefined =>
  type?.$case === "eventMessage" ? type.value.id : undefined;

const processed = (id: string): SubscribeTopicEventsRequest => ({
  subscribeTopicEventsRequestType: { $case: "eventProcessed", value: { id, status: { status: 0 } } },
});

describe("a stream of SubscribeTopicEvents", () => {
  it("takes an answer for each of several events that have the same id", async () => {
    await using opened = await openBlock();
    const batches = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let received = 0;
    const stream = openStream(opened.block, async (response) => {
      const id = idOf(response);
      if (id === undefined) return;
      received++;
      batches[Math.ceil(received / 4) - 1]?.resolve();
    });
    await stream.subscribed;
    for (let count = 0; count < 5; count++) await opened.publish({ id: "same", data: count });
    await batches[0]?.promise;
    for (let count = 0; count < 4; count++) stream.requests.push(processed("same"));
    await batches[1]?.promise;
    stream.requests.push(processed("same"));
    stream.requests.end();
    await stream.ended;
    assert.equal(received, 5);
    // Every event was taken, so a later subscriber is given only what came later.
    const next = Promise.withResolvers<string>();
    const later = openStream(opened.block, async (response) => {
      const id = idOf(response);
      if (id !== undefined) next.resolve(id);
    });
    await later.subscribed;
    await opened.publish({ id: "later", data: "" });
    assert.equal(await next.promise, "later");
    later.requests.push(processed("later"));
    later.requests.end();
    await later.ended;
  });

  it("gives events back when the client was gone before it knew of its subscription", async () => {
    await using opened = await openBlock();
    const first = openStream(opened.block, async () => undefined);
    await first.subscribed;
    await opened.publish({ id: "waits", data: "" });
    first.gone.abort(new Error("the client is gone"));
    first.requests.end();
    await first.ended;

    const vanished: ReturnType<typeof openStream> = openStream(opened.block, async () => {
      vanished.gone.abort(new Error("the client is gone"));
      throw new Error("the client is gone");
    });
    await assert.rejects(vanished.ended, /the client is gone/);

    const given = Promise.withResolvers<string>();
    const next = openStream(opened.block, async (response) => {
      const id = idOf(response);
      if (id !== undefined) given.resolve(id);
    });
    assert.equal(await given.promise, "waits");
    next.requests.push(processed("waits"));
    next.requests.end();
    await next.ended;
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { memoryPubSub } from "../../components/pubsub/memory.ts";
import {
  AppCallbackService,
  type ListTopicSubscriptionsResponse,
} from "../../proto/gen/spec/proto/runtime/v1/appcallback.ts";
import {
  TopicEventResponse_TopicEventResponseStatus as Status,
  type TopicEventRequest,
  type TopicEventResponse,
} from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { PubSubBlock } from "../../runtime/api/pubsub.ts";
import { storeSet } from "../../runtime/api/stores.ts";
import { AppChannel } from "../../runtime/app/app-channel.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { eventually } from "../conformance/backend.ts";
import { callContext, oneStore, silentLog } from "../support/api.ts";
import { openContext } from "../support/open-context.ts";

async function openBlock(settings: object = {}, log = silentLog) {
  const open = new AsyncDisposableStack();
  const store = open.use(await memoryPubSub.open(memoryPubSub.config.parse(settings), openContext("events")));
  const stores = storeSet("pubsub", oneStore("events", store));
  const block = new PubSubBlock({ stores, appId: "shop", log, metrics: new Metrics() });
  const publish = (topic: string, data: string, metadata: Record<string, string> = {}, contentType = "text/plain") =>
    block.publish({ pubsub: "events", topic, data: Buffer.from(data), contentType, metadata }, callContext());
  return { block, publish, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

const openChannel = (address: string, pubsub: PubSubBlock): AppChannel =>
  new AppChannel({ address, pubsub, maxMessageBytes: 4 * 1024 ** 2, log: silentLog });

/** An application with the callbacks: a gRPC server of its own. */
async function openApplication(topics: Record<string, Record<string, string>>, port = 0) {
  const received: TopicEventRequest[] = [];
  let respond: (event: TopicEventRequest) => number | Promise<number> = () => Status.SUCCESS;
  let wake: () => void = () => undefined;
  const server = new Server();
  server.addService(AppCallbackService, {
    listTopicSubscriptions: (_: unknown, callback: sendUnaryData<ListTopicSubscriptionsResponse>) => {
      const subscriptions = Object.entries(topics).map(([topic, metadata]) => ({
        pubsubName: "events",
        topic,
        metadata,
      }));
      callback(null, { subscriptions });
    },
    onTopicEvent: async (
      { request }: ServerUnaryCall<TopicEventRequest, TopicEventResponse>,
      callback: sendUnaryData<TopicEventResponse>,
    ) => {
      received.push(request);
      const status = respond(request);
      wake();
      callback(null, { status: (await status) as 0 });
    },
  });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error ? reject(error) : resolve(at),
    ),
  );
  return {
    address: `127.0.0.1:${bound}`,
    port: bound,
    received,
    answers: (respondWith: typeof respond) => {
      respond = respondWith;
    },
    async until(count: number) {
      while (received.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
    /** Accepts nothing more; resolves once what it has is answered. */
    leave: () => new Promise<void>((resolve) => server.tryShutdown(() => resolve())),
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  };
}

/** Publishes until the application has been subscribed and has received one: what nobody subscribes to is gone. */
async function publishUntil(isReceived: () => boolean, publish: () => Promise<void>): Promise<void> {
  while (!isReceived()) {
    await publish();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("events to the application", () => {
  it("carry the fields of CloudEvents 1.0", async () => {
    await using events = await openBlock();
    await using application = await openApplication({ orders: {} });
    await using _channel = openChannel(application.address, events.block);
    await publishUntil(
      () => application.received.length > 0,
      () => events.publish("orders", "probe"),
    );
    const marked = (): TopicEventRequest[] => application.received.filter(({ id }) => id === "event-1");
    await events.publish(
      "orders",
      '{"sku":"apple"}',
      { "cloudevent.id": "event-1", "cloudevent.type": "order.placed" },
      "application/json",
    );
    while (marked().length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [event] = marked();
    assert.equal(event?.specVersion, "1.0");
    assert.equal(event?.type, "order.placed");
    assert.equal(event?.source, "shop");
    assert.equal(event?.topic, "orders");
    assert.equal(event?.pubsubName, "events");
    assert.equal(event?.dataContentType, "application/json");
    assert.equal(Buffer.from(event?.data ?? []).toString(), '{"sku":"apple"}');
    assert.match(event?.metadata["time"] ?? "", /^\d{4}-\d\d-\d\dT/);
  });

  it("are tried again after RETRY until SUCCESS, with the same id", async () => {
    await using events = await openBlock();
    await using application = await openApplication({ orders: {} });
    application.answers(() => (application.received.length < 3 ? Status.RETRY : Status.SUCCESS));
    await using _channel = openChannel(application.address, events.block);
    await publishUntil(
      () => application.received.length > 0,
      () => events.publish("orders", "probe"),
    );
    await application.until(3);
    const ids = application.received.slice(0, 3).map(({ id }) => id);
    assert.equal(new Set(ids).size, 1);
  });

  it("go to the dead-letter topic when they are dropped, or were tried too often", async () => {
    await using events = await openBlock();
    await using application = await openApplication({ orders: { deadLetterTopic: "dead" }, dead: {} });
    const dead = (): TopicEventRequest[] => application.received.filter(({ topic }) => topic === "dead");
    application.answers(({ topic }) => (topic === "dead" ? Status.SUCCESS : Status.DROP));
    await using _channel = openChannel(application.address, events.block);
    await publishUntil(
      () => dead().length > 0,
      () => events.publish("orders", "probe", { "cloudevent.id": "dropped" }),
    );
    assert.equal(dead()[0]?.id, "dropped");

    application.answers(({ topic }) => (topic === "dead" ? Status.SUCCESS : Status.RETRY));
    await events.publish("orders", "again", { "cloudevent.id": "retried" });
    while (!dead().some(({ id }) => id === "retried")) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(application.received.filter(({ id, topic }) => id === "retried" && topic === "orders").length, 5);
  });

  it("come again while the dead-letter topic cannot have them, and the log says so", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "warn", destination: { write: (line) => void lines.push(line) } });
    await using events = await openBlock({ maxPending: 1 }, log);
    const subscription = { pubsub: "events", metadata: {} };
    const letters: string[] = [];
    const opened = Promise.withResolvers<void>();
    await using _dead = await events.block.subscribe({ ...subscription, topic: "dead" }, async ({ id }) => {
      await opened.promise;
      letters.push(id);
      return "success";
    });
    await events.publish("dead", "it fills the topic", { "cloudevent.id": "filler" });
    let tries = 0;
    await using _orders = await events.block.subscribe(
      { ...subscription, topic: "orders", deadLetterTopic: "dead" },
      async () => {
        tries++;
        return "drop";
      },
    );
    await events.publish("orders", "text", { "cloudevent.id": "dropped" });
    await eventually("it was tried often", () => tries >= 5);
    const first = JSON.parse(lines[0] ?? "{}");
    assert.match(first.msg, /could not go to the dead-letter topic/);
    assert.deepEqual(
      [first.topic, first.id, first.deadLetterTopic, first.err.reason],
      ["orders", "dropped", "dead", "PUBSUB_FULL"],
    );
    assert.deepEqual(
      lines.slice(0, 3).map((line) => JSON.parse(line).times),
      [1, 2, 4],
    );
    opened.resolve();
    await eventually("the letter has come", () => letters.includes("dropped"));
  });

  it("cannot have their own topic as the dead-letter topic", async () => {
    await using events = await openBlock();
    const subscription = { pubsub: "events", topic: "orders", metadata: {}, deadLetterTopic: "orders" };
    await assert.rejects(
      events.block.subscribe(subscription, async () => "drop"),
      { code: "INVALID_ARGUMENT", message: /is the topic itself/ },
    );
  });

  it("reach an application that comes later, and one that comes back", async () => {
    await using events = await openBlock();
    let port = 0;
    {
      await using first = await openApplication({});
      port = first.port;
    }
    await using _channel = openChannel(`127.0.0.1:${port}`, events.block);
    {
      await using application = await openApplication({ orders: {} }, port);
      await publishUntil(
        () => application.received.length > 0,
        () => events.publish("orders", "probe"),
      );
    }
    await using application = await openApplication({ orders: {}, more: {} }, port);
    await publishUntil(
      () => application.received.some(({ topic }) => topic === "more"),
      () => events.publish("more", "probe"),
    );
  });

  it("reach the successor of an application that still works on what it has", async () => {
    await using events = await openBlock();
    await using before = await openApplication({ orders: {} });
    await using _channel = openChannel(before.address, events.block);
    const { promise: held, resolve: answer } = Promise.withResolvers<number>();
    before.answers(() => held);
    await publishUntil(
      () => before.received.length > 0,
      () => events.publish("orders", "probe"),
    );
    const left = before.leave();
    await using after = await openApplication({ orders: {}, payments: {} }, before.port);
    await publishUntil(
      () => after.received.some(({ topic }) => topic === "payments"),
      () => events.publish("payments", "probe"),
    );
    answer(Status.SUCCESS);
    await left;
  });
});

describe("publishing", () => {
  it("refuses what could not be delivered, with a sentence", async () => {
    await using events = await openBlock();
    const publish = (pubsub: string, topic: string, data: string, contentType: string) =>
      events.block.publish({ pubsub, topic, data: Buffer.from(data), contentType, metadata: {} }, callContext());
    await assert.rejects(publish("nowhere", "t", "", ""), {
      code: "INVALID_ARGUMENT",
      message: /'nowhere' is not configured; configured: events/,
    });
    await assert.rejects(publish("events", "", "", ""), { code: "INVALID_ARGUMENT", message: /topic is empty/ });
    await assert.rejects(publish("events", "t", "{", "application/json"), {
      code: "INVALID_ARGUMENT",
      message: /cannot be parsed/,
    });
    await assert.rejects(publish("events", "t", "{}", "application/cloudevents+json"), {
      code: "INVALID_ARGUMENT",
      message: /lacks id, source or type/,
    });
  });

  it("passes an event of the publisher's own, raw bytes, text and binary data as they were", async () => {
    await using events = await openBlock();
    const received: { id: string; type: string; data: string; contentType: string }[] = [];
    await using _subscription = await events.block.subscribe(
      { pubsub: "events", topic: "t", metadata: {} },
      async (event) => {
        const { id, type, data, dataContentType } = event;
        received.push({ id, type, data: Buffer.from(data).toString("latin1"), contentType: dataContentType });
        return "success";
      },
    );
    const own = JSON.stringify({
      specversion: "1.0",
      id: "own",
      source: "s",
      type: "own.type",
      datacontenttype: "text/plain",
      data: "hi",
    });
    await events.publish("t", own, {}, "application/cloudevents+json");
    await events.publish("t", "raw \xff", { rawPayload: "true" }, "application/x-raw");
    await events.publish("t", "text", {}, "text/plain");
    await events.block.publish(
      { pubsub: "events", topic: "t", data: new Uint8Array([0, 255]), contentType: "image/png", metadata: {} },
      callContext(),
    );
    while (received.length < 4) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(received[0], { id: "own", type: "own.type", data: "hi", contentType: "text/plain" });
    assert.deepEqual(received[1]?.contentType, "application/x-raw");
    assert.deepEqual([received[2]?.data, received[2]?.contentType], ["text", "text/plain"]);
    assert.deepEqual([received[3]?.data, received[3]?.contentType], ["\x00\xff", "image/png"]);
  });

  it("does not deliver an event after its time to live", async () => {
    await using events = await openBlock();
    const received: string[] = [];
    await events.block.publish(
      { pubsub: "events", topic: "t", data: Buffer.from("nobody yet"), contentType: "text/plain", metadata: {} },
      callContext(),
    );
    await using _subscription = await events.block.subscribe(
      { pubsub: "events", topic: "t", metadata: {} },
      async ({ id }) => {
        received.push(id);
        return "success";
      },
    );
    await events.publish("t", "late", { "cloudevent.id": "late", "cloudevent.expiration": "2020-01-01T00:00:00Z" });
    await events.publish("t", "timely", { "cloudevent.id": "timely", ttlInSeconds: "60" });
    while (received.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(received, ["timely"]);
  });
});

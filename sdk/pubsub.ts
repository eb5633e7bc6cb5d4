import {
  RuntimeService,
  TopicEventResponse_TopicEventResponseStatus as Status,
  type SubscribeTopicEventsRequest,
  type SubscribeTopicEventsResponse,
} from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { OutriggerError } from "./error.ts";
import { Stream } from "./stream.ts";
import { type TopicEvent, topicEventOf } from "./topic-event.ts";
import { contentOf, type Writable } from "./value.ts";

export interface PublishEvent {
  readonly pubsub: string;
  readonly topic: string;
  readonly data: Writable;
  /** Default what the data is: text, bytes or JSON. */
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface SubscribeTopic {
  readonly pubsub: string;
  readonly topic: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Where events go that are dropped, or retried too often. */
  readonly deadLetterTopic?: string;
}

/** An event of a subscription, which waits for exactly one of `ack`, `retry` and `drop`; they resolve when it is sent. */
export interface ReceivedEvent extends TopicEvent {
  /** It is done. */
  ack(): Promise<void>;
  /** Deliver it again later. */
  retry(): Promise<void>;
  /** Never deliver it again: it goes to the dead-letter topic, if there is one. */
  drop(): Promise<void>;
}

/** Topics. */
export class PubSubClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Resolves once the broker has the event. */
  async publish({ pubsub, topic, data, contentType, metadata }: PublishEvent, options?: CallOptions): Promise<void> {
    const content = contentOf(data);
    const request = {
      pubsubName: pubsub,
      topic,
      data: content.bytes,
      dataContentType: contentType ?? content.contentType,
      metadata: { ...metadata },
    };
    await this.#channel.unary(RuntimeService.publishEvent, request, options);
  }

  /** Resolves once events published from now on will be received. */
  async subscribe(request: SubscribeTopic, options?: CallOptions): Promise<TopicSubscription> {
    const initial: SubscribeTopicEventsRequest = {
      subscribeTopicEventsRequestType: { $case: "initialRequest", value: initialRequest(request) },
    };
    const stream = new Stream(this.#channel, RuntimeService.subscribeTopicEvents, initial, options);
    const first = await stream.receive();
    if (first?.subscribeTopicEventsResponseType?.$case === "initialResponse") return new TopicSubscription(stream);
    await stream[Symbol.asyncDispose]();
    const message = `the runtime did not confirm the subscription to '${request.topic}'`;
    throw new OutriggerError("INTERNAL", "SUBSCRIPTION_UNCONFIRMED", message, { method: "SubscribeTopicEvents" });
  }
}

/** Events as they come. Leaving the loop or disposing ends the subscription; events not settled are delivered again. */
export class TopicSubscription implements AsyncIterable<ReceivedEvent>, AsyncDisposable {
  readonly #stream: Stream<SubscribeTopicEventsRequest, SubscribeTopicEventsResponse>;

  constructor(stream: Stream<SubscribeTopicEventsRequest, SubscribeTopicEventsResponse>) {
    this.#stream = stream;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedEvent, void> {
    for await (const { subscribeTopicEventsResponseType: message } of this.#stream) {
      if (message?.$case === "eventMessage") yield this.#received(topicEventOf(message.value));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stream[Symbol.asyncDispose]();
  }

  #received(event: TopicEvent): ReceivedEvent {
    const settle = (status: (typeof Status)[keyof typeof Status]): Promise<void> =>
      this.#stream.send({
        subscribeTopicEventsRequestType: { $case: "eventProcessed", value: { id: event.id, status: { status } } },
      });
    return {
      ...event,
      ack: () => settle(Status.SUCCESS),
      retry: () => settle(Status.RETRY),
      drop: () => settle(Status.DROP),
    };
  }
}

function initialRequest({ pubsub, topic, metadata, deadLetterTopic }: SubscribeTopic) {
  return { pubsubName: pubsub, topic, metadata: { ...metadata }, deadLetterTopic };
}

import { setTimeout as delay } from "node:timers/promises";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { PubSub, ReceivedMessage } from "../../components/pubsub/pubsub.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { cloudEventType, type TopicEvent, unwrapEvent, wrapEvent } from "./cloud-event.ts";
import type { StoreSet } from "./stores.ts";

export interface PublishRequest {
  readonly pubsub: string;
  readonly topic: string;
  readonly data: Uint8Array;
  readonly contentType: string;
  /** `rawPayload: true` publishes the bytes as they are; see `wrapEvent` for the others. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TopicSubscription {
  readonly pubsub: string;
  readonly topic: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where events go that are dropped, or that were tried `maxAttempts` times; without one a retried event is tried for ever. */
  readonly deadLetterTopic?: string;
}

export type EventOutcome = "success" | "retry" | "drop";
/** What a rejection does is the same as `retry`. */
export type EventHandler = (event: TopicEvent, signal: AbortSignal) => Promise<EventOutcome>;

export interface PubSubOptions {
  readonly stores: StoreSet<PubSub>;
  readonly appId: string;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Tries of one event before it goes to the dead-letter topic. */
const maxAttempts = 5;
const firstRetryMs = 100;
const longestRetryMs = 30_000;

/** Publishes and delivers events: CloudEvents wrapping, retries with back-off, dead letters. */
export class PubSubBlock {
  readonly #stores: StoreSet<PubSub>;
  readonly #appId: string;
  readonly #log: Log;
  readonly #published;
  readonly #delivered;

  constructor({ stores, appId, log, metrics }: PubSubOptions) {
    this.#stores = stores;
    this.#appId = appId;
    this.#log = log;
    this.#published = metrics.counter("outrigger_pubsub_published_total", "Events published.", ["pubsub"]);
    this.#delivered = metrics.counter("outrigger_pubsub_delivered_total", "Deliveries by what came of them.", [
      "pubsub",
      "outcome",
    ]);
  }

  /** Resolves once the broker has the event. */
  async publish({ pubsub, topic, data, contentType, metadata }: PublishRequest, call: CallContext): Promise<void> {
    const { store } = this.#stores.find(pubsub);
    requireTopic(topic);
    const isRaw = metadata["rawPayload"] === "true";
    const source = { topic, pubsubName: pubsub, appId: this.#appId, traceparent: call.traceparent };
    const message = isRaw
      ? { topic, data, contentType: contentType || "application/octet-stream", metadata }
      : { topic, data: wrapEvent(data, contentType, metadata, source), contentType: cloudEventType, metadata };
    await store.publish(message, call);
    this.#published.labels(pubsub).inc();
  }

  /** Delivers the topic's events to the handler until disposed; subscribers of the same application share them. */
  async subscribe(subscription: TopicSubscription, handler: EventHandler): Promise<AsyncDisposable> {
    const { store } = this.#stores.find(subscription.pubsub);
    requireTopic(subscription.topic);
    const request = { topic: subscription.topic, group: this.#appId, metadata: subscription.metadata };
    return store.subscribe(request, (message, signal) => this.#deliver(subscription, store, message, handler, signal));
  }

  async #deliver(
    subscription: TopicSubscription,
    store: PubSub,
    message: ReceivedMessage,
    handler: EventHandler,
    signal: AbortSignal,
  ): Promise<void> {
    const { pubsub, topic, deadLetterTopic } = subscription;
    const event = unwrapEvent(message, { topic, pubsubName: pubsub, appId: this.#appId });
    const fields = { pubsub, topic, id: event.id };
    for (let attempt = 1, waitMs = firstRetryMs; ; attempt++, waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      if (event.expiresAtMs !== undefined && event.expiresAtMs <= Date.now()) return this.#count(pubsub, "expired");
      const outcome = await this.#attempt(event, handler, signal, fields);
      this.#count(pubsub, outcome);
      if (outcome === "success") return;
      const isLast = outcome === "drop" || (deadLetterTopic !== undefined && attempt >= maxAttempts);
      if (isLast && deadLetterTopic !== undefined) {
        await store.publish({ ...message, topic: deadLetterTopic }, this.#ownCall(signal));
        return this.#count(pubsub, "dead_letter");
      }
      if (isLast) return this.#log.warn(fields, "an event was dropped and there is no dead-letter topic");
      await delay(waitMs * (0.5 + Math.random() / 2), undefined, { signal, ref: false });
    }
  }

  async #attempt(event: TopicEvent, handler: EventHandler, signal: AbortSignal, fields: object): Promise<EventOutcome> {
    try {
      return await handler(event, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#log.debug({ ...fields, err: error }, "an event could not be delivered and is tried again");
      return "retry";
    }
  }

  #count(pubsub: string, outcome: string): void {
    this.#delivered.labels(pubsub, outcome).inc();
  }

  #ownCall(signal: AbortSignal): CallContext {
    return { signal, peer: { address: "outrigger" }, appId: this.#appId, log: this.#log };
  }
}

function requireTopic(topic: string): void {
  if (topic === "") throw new RuntimeError("INVALID_ARGUMENT", "TOPIC_MISSING", "the topic is empty; name one");
}

import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { PubSub } from "../../components/pubsub/pubsub.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { cloudEventType, wrapEvent } from "./cloud-event.ts";
import { followStore } from "./follow-store.ts";
import { type EventHandler, TopicDelivery } from "./pubsub-delivery.ts";
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
  /** `deadLetterTopic` and `maxAttempts` are for the runtime; all of it goes to the component too. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Subscribers of one group share the events; default the application's, which is its id. */
  readonly group?: string;
  /** Where events go that are dropped, or were tried too often; in place of the metadata's. */
  readonly deadLetterTopic?: string;
}

export interface PubSubOptions {
  readonly stores: StoreSet<PubSub>;
  readonly appId: string;
  /** Tries of one event before it goes to the dead-letter topic, or back to the broker; default 5. */
  readonly maxAttempts?: number;
  /** How long events that a handler has may take once their subscription ends; default 5 seconds. */
  readonly drainMs?: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Publishes and delivers events: CloudEvents wrapping, retries with back-off, dead letters. Disposing ends what is subscribed. */
export class PubSubBlock implements AsyncDisposable {
  readonly #options: PubSubOptions;
  readonly #subscriptions = new Set<AsyncDisposable>();
  readonly #published;
  readonly #delivered;

  constructor(options: PubSubOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#published = metrics.counter("outrigger_pubsub_published_total", "Events published.", ["pubsub"]);
    this.#delivered = metrics.counter("outrigger_pubsub_delivered_total", "Deliveries by what came of them.", [
      "pubsub",
      "outcome",
    ]);
  }

  /** Resolves once the broker has the event. */
  async publish({ pubsub, topic, data, contentType, metadata }: PublishRequest, call: CallContext): Promise<void> {
    const { store } = this.#options.stores.find(pubsub);
    requireTopic(topic);
    const source = { topic, pubsubName: pubsub, appId: this.#options.appId, traceparent: call.traceparent };
    const message = isTrue(metadata.rawPayload)
      ? { topic, data, contentType: contentType || "application/octet-stream", metadata }
      : { topic, data: wrapEvent(data, contentType, metadata, source), contentType: cloudEventType, metadata };
    await store.publish(message, call);
    this.#published.labels(pubsub).inc();
  }

  /**
   * Delivers the topic's events to the handler until disposed, and goes along when the component is replaced; subscribers of the
   * same group share them. An event that was tried `maxAttempts` times without a dead-letter topic goes back to the broker, or is dropped when the metadata of the
   * subscription sets that limit.
   */
  async subscribe(subscription: TopicSubscription, handler: EventHandler): Promise<AsyncDisposable> {
    const { stores, appId, log, maxAttempts = 5, drainMs = 5_000 } = this.#options;
    const { pubsub, topic, metadata, group = appId } = subscription;
    requireTopic(topic);
    const deadLetterTopic = deadLetterTopicOf(subscription);
    const ownAttempts = attemptsOf(metadata.maxAttempts);
    const delivery = await followStore({
      stores,
      name: pubsub,
      failed: (error) =>
        log.error({ err: error, pubsub, topic }, "a topic cannot be subscribed to anew; it is tried again"),
      begin: async ({ store }) => {
        store.checkTopic?.(topic);
        if (deadLetterTopic !== undefined) store.checkTopic?.(deadLetterTopic);
        return TopicDelivery.open(
          {
            pubsub,
            topic,
            appId,
            group,
            store,
            deadLetterTopic,
            maxAttempts: ownAttempts ?? maxAttempts,
            whenExhausted: ownAttempts === undefined ? "return" : "drop",
            drainMs,
            log,
            count: (outcome) => this.#delivered.labels(pubsub, outcome).inc(),
          },
          metadata,
          handler,
        );
      },
    });
    this.#subscriptions.add(delivery);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#subscriptions.delete(delivery);
        await delivery[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#subscriptions].map((one) => one[Symbol.asyncDispose]()));
    this.#subscriptions.clear();
  }
}

function requireTopic(topic: string): void {
  if (topic === "") throw new RuntimeError("INVALID_ARGUMENT", "TOPIC_MISSING", "the topic is empty; name one");
}

function deadLetterTopicOf({ topic, metadata, deadLetterTopic }: TopicSubscription): string | undefined {
  const named = deadLetterTopic || metadata.deadLetterTopic || undefined;
  if (named !== topic) return named;
  const text = `the dead-letter topic of '${topic}' is the topic itself; events that it drops would come back for ever`;
  throw new RuntimeError("INVALID_ARGUMENT", "DEAD_LETTER_TOPIC_INVALID", text);
}

function attemptsOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  const message = `maxAttempts is '${text}'; expected a whole number above 0`;
  throw new RuntimeError("INVALID_ARGUMENT", "MAX_ATTEMPTS_INVALID", message);
}

const isTrue = (text: string | undefined): boolean => text !== undefined && /^(true|1)$/i.test(text);

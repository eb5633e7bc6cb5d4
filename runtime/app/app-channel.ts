import { setTimeout as delay } from "node:timers/promises";
import { connectivityState, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import {
  AppCallbackClient,
  type TopicSubscription as ListedSubscription,
  type ListTopicSubscriptionsResponse,
} from "../../proto/gen/spec/proto/runtime/v1/appcallback.ts";
import type { TopicEventRequest } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { TopicEvent } from "../api/cloud-event.ts";
import { eventMessage, outcomeOf } from "../api/layotto/pubsub-methods.ts";
import type { EventOutcome, PubSubBlock } from "../api/pubsub.ts";
import type { Log } from "../telemetry/log.ts";

export interface AppChannelOptions {
  /** `host:port` or `unix:/path` where the application serves the callbacks. */
  readonly address: string;
  readonly pubsub: PubSubBlock;
  readonly maxMessageBytes: number;
  readonly log: Log;
}

const listTimeoutMs = 5_000;
const eventTimeoutMs = 60_000;
const firstAskMs = 100;
const longestAskMs = 5_000;

/**
 * The channel to the application's gRPC callbacks. It asks which topics the application wants until it answers, asks again
 * each time the application comes back, and delivers their events. Disposing unsubscribes and closes.
 */
export class AppChannel implements AsyncDisposable {
  readonly #options: AppChannelOptions;
  readonly #client: AppCallbackClient;
  readonly #stopping = new AbortController();
  readonly #subscriptions = new Map<string, AsyncDisposable>();
  readonly #running: Promise<void>;

  constructor(options: AppChannelOptions) {
    this.#options = options;
    this.#client = new AppCallbackClient(options.address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": options.maxMessageBytes,
      "grpc.max_send_message_length": options.maxMessageBytes,
      "grpc.initial_reconnect_backoff_ms": firstAskMs,
      "grpc.max_reconnect_backoff_ms": longestAskMs,
    });
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await Promise.all([...this.#subscriptions.values()].map((one) => one[Symbol.asyncDispose]()));
    this.#subscriptions.clear();
    this.#client.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let waitMs = firstAskMs;
    while (!signal.aborted) {
      try {
        await this.#subscribeAll((await this.#list()).subscriptions);
        waitMs = firstAskMs;
        await this.#untilDisconnected(signal);
      } catch (error) {
        this.#options.log.debug(
          { err: error, application: this.#options.address },
          "the application does not say its subscriptions yet",
        );
        await delay(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
        waitMs = Math.min(2 * waitMs, longestAskMs);
      }
    }
  }

  /** Rejects while the application is not there; one without the method wants no topics. */
  #list(): Promise<ListTopicSubscriptionsResponse> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + listTimeoutMs;
      const call = this.#client.listTopicSubscriptions({}, new Metadata(), { deadline }, (error, response) => {
        this.#stopping.signal.removeEventListener("abort", cancel);
        if (error === null) resolve(response);
        else if (error.code === status.UNIMPLEMENTED) resolve({ subscriptions: [] });
        else reject(error);
      });
      const cancel = (): void => call.cancel();
      this.#stopping.signal.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Adds what is new and ends what the application no longer lists. */
  async #subscribeAll(listed: readonly ListedSubscription[]): Promise<void> {
    const wanted = new Map(listed.map((one) => [JSON.stringify([one.pubsubName, one.topic, one.metadata]), one]));
    for (const [key, subscription] of this.#subscriptions) {
      if (wanted.has(key)) continue;
      this.#subscriptions.delete(key);
      await subscription[Symbol.asyncDispose]();
    }
    for (const [key, { pubsubName: pubsub, topic, metadata }] of wanted) {
      if (this.#subscriptions.has(key)) continue;
      const { deadLetterTopic } = metadata;
      const request = { pubsub, topic, metadata, ...(deadLetterTopic === undefined ? {} : { deadLetterTopic }) };
      try {
        this.#subscriptions.set(
          key,
          await this.#options.pubsub.subscribe(request, (event, signal) => this.#deliver(event, signal)),
        );
        this.#options.log.info({ pubsub, topic }, "the application is subscribed");
      } catch (error) {
        this.#options.log.error(
          { err: error, pubsub, topic },
          "the application asks for a topic that cannot be subscribed to",
        );
      }
    }
  }

  #deliver(event: TopicEvent, signal: AbortSignal): Promise<EventOutcome> {
    const request: TopicEventRequest = eventMessage(event);
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + eventTimeoutMs;
      const done = (error: ServiceError | null, answer: { status: Parameters<typeof outcomeOf>[0] }): void => {
        signal.removeEventListener("abort", cancel);
        if (error === null) resolve(outcomeOf(answer.status));
        else if (error.code === status.UNIMPLEMENTED) resolve(this.#dropUnimplemented(event));
        else reject(error);
      };
      const call = this.#client.onTopicEvent(request, new Metadata(), { deadline }, done);
      const cancel = (): void => call.cancel();
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
    });
  }

  #dropUnimplemented({ topic }: TopicEvent): EventOutcome {
    this.#options.log.warn({ topic }, "the application lists topics but does not implement OnTopicEvent");
    return "drop";
  }

  /** Resolves once the connection that answered is gone. */
  #untilDisconnected(signal: AbortSignal): Promise<void> {
    const channel = this.#client.getChannel();
    return new Promise((resolve) => {
      const look = (): void => {
        const state = channel.getConnectivityState(false);
        if (signal.aborted || state !== connectivityState.READY) {
          done();
          return;
        }
        channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, (error) =>
          error === undefined ? look() : done(),
        );
      };
      const done = (): void => {
        signal.removeEventListener("abort", done);
        resolve();
      };
      signal.addEventListener("abort", done, { once: true });
      look();
    });
  }
}

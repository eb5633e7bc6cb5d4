import { setTimeout as delay } from "node:timers/promises";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { PublishMessage, PubSub, ReceivedMessage } from "../../components/pubsub/pubsub.ts";
import type { Log } from "../telemetry/log.ts";
import { type TopicEvent, unwrapEvent } from "./cloud-event.ts";
import { settledWithin } from "./settled-within.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** What the application says of an event. */
export type EventOutcome = "success" | "retry" | "drop";
/**
 * A rejection means the same as `retry`. The signal aborts when the subscription ends and the outcome no longer counts.
 * `message` is the event as the broker gave it.
 */
export type EventHandler = (event: TopicEvent, signal: AbortSignal, message: ReceivedMessage) => Promise<EventOutcome>;

/** What became of one delivery, for the metric. */
export type DeliveryOutcome = EventOutcome | "dead_letter" | "expired" | "returned";

export interface DeliveryOptions {
  readonly pubsub: string;
  readonly topic: string;
  readonly appId: string;
  /** Who shares the topic's events. */
  readonly group: string;
  readonly store: PubSub;
  readonly deadLetterTopic: string | undefined;
  /** Tries of one event before it goes to the dead-letter topic. */
  readonly maxAttempts: number;
  /** What happens to an event that was tried that often when there is no dead-letter topic. */
  readonly whenExhausted: "drop" | "return";
  /** How long events that the handler has may take once the subscription ends. */
  readonly drainMs: number;
  readonly log: Log;
  count(outcome: DeliveryOutcome): void;
}

const firstRetryMs = 100;
const longestRetryMs = 30_000;

/**
 * One subscription to a topic. Each event is tried until the handler takes or drops it, with back-off, and then goes to the
 * dead-letter topic, or back to the broker. Disposing takes no further event, and gives back what the handler does not
 * settle in time.
 */
export class TopicDelivery implements AsyncDisposable {
  readonly #options: DeliveryOptions;
  readonly #handler: EventHandler;
  readonly #closing = new AbortController();
  readonly #handling = new Set<Promise<unknown>>();
  /** Dead letters in succession that could not be published. */
  #lettersInVain = 0;
  #source: AsyncDisposable | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: DeliveryOptions, handler: EventHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  /** Resolves once events published from now on will be delivered. */
  static async open(
    options: DeliveryOptions,
    metadata: Readonly<Record<string, string>>,
    handler: EventHandler,
  ): Promise<TopicDelivery> {
    const delivery = new TopicDelivery(options, handler);
    const { store, topic, group } = options;
    const deliver = (message: ReceivedMessage, signal: AbortSignal) => delivery.#deliver(message, signal);
    delivery.#source = await store.subscribe({ topic, group, metadata }, deliver);
    return delivery;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await settledWithin(this.#handling, this.#options.drainMs);
    await this.#source?.[Symbol.asyncDispose]();
  }

  /** Resolves when the message is settled, rejects when the broker is to deliver it again. */
  async #deliver(message: ReceivedMessage, signal: AbortSignal): Promise<void> {
    const { topic, pubsub: pubsubName, appId, maxAttempts } = this.#options;
    const event = unwrapEvent(message, { topic, pubsubName, appId });
    for (let attempt = 1, waitMs = firstRetryMs; ; attempt++, waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      if (this.#closing.signal.aborted) return givenBack(signal);
      if (await this.#handled(this.#attempt(message, event, attempt >= maxAttempts, signal))) return;
      await delay(waitMs * (0.5 + Math.random() / 2), undefined, { signal: this.#closing.signal }).catch(
        () => undefined,
      );
    }
  }

  /** Notes the work for as long as it runs, so that closing can wait for it. */
  async #handled<T>(work: Promise<T>): Promise<T> {
    this.#handling.add(work);
    try {
      return await work;
    } finally {
      this.#handling.delete(work);
    }
  }

  /** One try; whether the message is settled by it. */
  async #attempt(message: ReceivedMessage, event: TopicEvent, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    const { log, count, deadLetterTopic, whenExhausted } = this.#options;
    const fields = { pubsub: event.pubsubName, topic: event.topic, id: event.id };
    if (event.expiresAtMs !== undefined && event.expiresAtMs <= Date.now()) {
      count("expired");
      return true;
    }
    const outcome = await this.#outcome(message, event, signal, fields);
    count(outcome);
    if (outcome === "success") return true;
    if (outcome === "retry" && !isLast) return false;
    if (deadLetterTopic !== undefined) {
      await this.#publishLetter({ ...message, topic: deadLetterTopic }, signal, fields);
      count("dead_letter");
      return true;
    }
    if (outcome === "drop" || whenExhausted === "drop") {
      log.warn(fields, "an event was dropped and there is no dead-letter topic");
      return true;
    }
    count("returned");
    log.warn(fields, "an event was tried again and again in vain; it goes back to the broker, which delivers it later");
    throw new RuntimeError("ABORTED", "EVENT_NOT_TAKEN", `the event '${event.id}' was not taken`);
  }

  async #publishLetter(letter: PublishMessage, signal: AbortSignal, fields: object): Promise<void> {
    try {
      await this.#options.store.publish(letter, this.#ownCall(signal));
      this.#lettersInVain = 0;
    } catch (error) {
      if (!signal.aborted) this.#noteLetterInVain({ ...fields, deadLetterTopic: letter.topic, err: error });
      throw error;
    }
  }

  /** Says so the first time in succession, the second, the fourth, and so on: the broker may deliver it again at once. */
  #noteLetterInVain(fields: object): void {
    const times = ++this.#lettersInVain;
    if (!Number.isInteger(Math.log2(times))) return;
    const message =
      "an event could not go to the dead-letter topic; it goes back to the broker, which delivers it later";
    this.#options.log.warn({ ...fields, times }, message);
  }

  async #outcome(
    message: ReceivedMessage,
    event: TopicEvent,
    signal: AbortSignal,
    fields: object,
  ): Promise<EventOutcome> {
    try {
      return await unlessAborted(this.#handler(event, signal, message), signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#options.log.debug({ ...fields, err: error }, "an event could not be delivered and is tried again");
      return "retry";
    }
  }

  #ownCall(signal: AbortSignal): CallContext {
    const { appId, log } = this.#options;
    return { signal, peer: { address: "outrigger" }, appId, log };
  }
}

/** Rejects once the broker has ended the subscription: rejected earlier, it would deliver the message here again. */
function givenBack(signal: AbortSignal): Promise<never> {
  return unlessAborted(new Promise<never>(() => undefined), signal);
}

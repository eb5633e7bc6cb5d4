import { z } from "zod";
import type { NatsConnection } from "../clients/nats.ts";
import { jetStreamCodes } from "../clients/nats-failure.ts";
import { isRefusal, JetStream, nanoseconds, type StreamConfig, type StreamInfo } from "../clients/nats-jetstream.ts";
import { natsDigestOf, natsNameOf } from "../clients/nats-name.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import type { NatsPubSubSettings } from "./nats.ts";
import { headerBytesOf, headersOf } from "./nats-message.ts";
import { NatsGroupMember } from "./nats-subscription.ts";
import type { Deliver, PublishMessage, PubSub, SubscribeTopic } from "./pubsub.ts";

/** Between looks whether JetStream answers again after its server has come back. */
const lookMs = 100;

const consumerInfo = z.object({ name: z.string() });

/**
 * Topics in one stream that keeps a message until every group of its topic has acknowledged it. A group is a durable consumer
 * of the topic's subject.
 */
export class JetStreamPubSub implements PubSub {
  readonly #connection: NatsConnection;
  readonly #jetStream: JetStream;
  readonly #settings: NatsPubSubSettings;
  readonly #members = new Set<NatsGroupMember>();

  private constructor(jetStream: JetStream, settings: NatsPubSubSettings) {
    this.#connection = jetStream.connection;
    this.#jetStream = jetStream;
    this.#settings = settings;
  }

  /** The connection belongs to it from now on. */
  static async open(connection: NatsConnection, settings: NatsPubSubSettings): Promise<JetStreamPubSub> {
    const pubsub = new JetStreamPubSub(new JetStream(connection), settings);
    try {
      const { config } = await pubsub.#ensureStream();
      pubsub.#check(config);
      return pubsub;
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  async publish(message: PublishMessage, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const { topic, data } = message;
    this.#connection.checkSize(
      `the message to topic '${topic.slice(0, 100)}'`,
      data.byteLength + headerBytesOf(message),
    );
    const headers = headersOf(this.#connection, message);
    const giveUpAtMs = performance.now() + this.#settings.requestTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#jetStream.publish(this.#subjectOf(topic), data, headers);
        return;
      } catch (error) {
        if (!(await this.#mayTryAgain(error, attempt, giveUpAtMs))) throw error;
        throwIfAborted(call);
      }
    }
  }

  async subscribe({ topic, group }: SubscribeTopic, deliver: Deliver): Promise<AsyncDisposable> {
    const { stream, ackWaitMs, concurrency, prefetch } = this.#settings;
    let known: string | undefined;
    const member = await NatsGroupMember.join(this.#jetStream, {
      stream,
      topic,
      deliver,
      ackWaitMs,
      concurrency,
      prefetch,
      ensureConsumer: async () => {
        // Making one takes the leader of the whole cluster, which may be away while all that is needed goes on.
        if (known === undefined || !(await this.#hasConsumer(known))) known = await this.#makeConsumer(topic, group);
        return known;
      },
    });
    this.#members.add(member);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#members.delete(member);
        await member[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members].map((member) => member[Symbol.asyncDispose]()));
    await this.#connection[Symbol.asyncDispose]();
  }

  #subjectOf(topic: string): string {
    return `${this.#settings.subjectPrefix}.${natsNameOf(topic)}`;
  }

  /**
   * Whether to send a message again whose fate is not known; the stream knows it by its id. A connection that was lost
   * meanwhile is waited for as long as the server may take to answer.
   */
  async #mayTryAgain(error: unknown, attempt: number, giveUpAtMs: number): Promise<boolean> {
    if (!(error instanceof RuntimeError) || error.code !== "UNAVAILABLE") return false;
    if (error.reason === "NATS_NO_JETSTREAM" && attempt === 1) {
      // The stream may be gone, as one in memory is with its server.
      await this.#ensureStream();
      return true;
    }
    const wasSent = attempt > 1 || error.reason === "NATS_CONNECTION_LOST";
    while (wasSent && performance.now() < giveUpAtMs && !this.#connection.isClosing) {
      await new Promise((resolve) => setTimeout(resolve, lookMs));
      if (this.#connection.isUp) return true;
    }
    return false;
  }

  #ensureStream(): Promise<StreamInfo> {
    const { stream, subjectPrefix, maxAgeMs, maxBytes, whenFull, duplicateWindowMs, storage, replicas } =
      this.#settings;
    const config: StreamConfig = {
      name: stream,
      description: "kept by Outrigger",
      subjects: [`${subjectPrefix}.>`],
      retention: "interest",
      discard: whenFull === "refuse" ? "new" : "old",
      max_age: nanoseconds(maxAgeMs),
      max_bytes: maxBytes,
      max_msgs: -1,
      max_consumers: -1,
      max_msg_size: -1,
      duplicate_window: nanoseconds(Math.min(duplicateWindowMs, maxAgeMs)),
      storage,
      num_replicas: replicas,
    };
    return this.#jetStream.ensureStream(config);
  }

  async #hasConsumer(name: string): Promise<boolean> {
    try {
      await this.#jetStream.api(`CONSUMER.INFO.${this.#settings.stream}.${name}`, undefined, consumerInfo);
      return true;
    } catch (error) {
      const { consumerNotFound, streamNotFound } = jetStreamCodes;
      if (isRefusal(error, consumerNotFound) || isRefusal(error, streamNotFound)) return false;
      throw error;
    }
  }

  async #makeConsumer(topic: string, group: string): Promise<string> {
    await this.#ensureStream();
    const { stream, ackWaitMs, maxAckPending } = this.#settings;
    const name = natsDigestOf(topic, group);
    const filter = this.#subjectOf(topic);
    const config = {
      name,
      durable_name: name,
      description: `group '${group.slice(0, 100)}' of topic '${topic.slice(0, 100)}'`,
      filter_subject: filter,
      deliver_policy: "new",
      ack_policy: "explicit",
      ack_wait: nanoseconds(ackWaitMs),
      max_ack_pending: maxAckPending,
      max_deliver: -1,
      replay_policy: "instant",
    };
    const request = { stream_name: stream, config };
    return (await this.#jetStream.api(`CONSUMER.CREATE.${stream}.${name}.${filter}`, request, consumerInfo)).name;
  }

  /** Throws when the stream that was there is not for our topics; tells when it is kept by other rules than ours. */
  #check({ subjects, retention, max_age, max_bytes, discard, storage, num_replicas }: StreamInfo["config"]): void {
    const { stream, subjectPrefix, maxAgeMs, maxBytes, whenFull, replicas, ...settings } = this.#settings;
    const { name, log } = this.#connection;
    if (!subjects.includes(`${subjectPrefix}.>`)) {
      const message = `the stream '${stream}' on the NATS of '${name}' has the subjects ${subjects.join(", ")} and not ${subjectPrefix}.>; give another stream or another subjectPrefix`;
      throw new RuntimeError("FAILED_PRECONDITION", "NATS_OTHER_STREAM", message);
    }
    const isAsSet =
      retention === "interest" &&
      max_age === nanoseconds(maxAgeMs) &&
      max_bytes === maxBytes &&
      discard === (whenFull === "refuse" ? "new" : "old") &&
      storage === settings.storage &&
      num_replicas === replicas;
    if (isAsSet) return;
    log.warn(
      { stream, retention, max_age, max_bytes, discard, storage, num_replicas },
      `the stream '${stream}' on the NATS of '${name}' was made with other settings, which it keeps; edit it with the nats command`,
    );
  }
}

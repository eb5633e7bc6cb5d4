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

/** What JetStream takes of headers, whatever max_payload says. */
const mostHeaderBytes = 65_535;
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
  /** Those of the open subscriptions. */
  readonly #groups = new Set<TopicGroup>();
  readonly #watch: Disposable;
  /** When the stream was made that has the consumers of all groups. */
  #created: string;
  /** Whether it may be another one by now, since its server was away. */
  #isUnsure = false;
  #restoring: Promise<void> | undefined;

  private constructor(jetStream: JetStream, settings: NatsPubSubSettings, created: string) {
    this.#connection = jetStream.connection;
    this.#jetStream = jetStream;
    this.#settings = settings;
    this.#created = created;
    this.#watch = this.#connection.watch(() => {
      this.#isUnsure = true;
    });
  }

  /** The connection belongs to it from now on. */
  static async open(connection: NatsConnection, settings: NatsPubSubSettings): Promise<JetStreamPubSub> {
    const jetStream = new JetStream(connection);
    try {
      const { created, config } = await jetStream.ensureStream(streamOf(settings));
      check(connection, settings, config);
      return new JetStreamPubSub(jetStream, settings, created);
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  async publish(message: PublishMessage, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const { topic, data } = message;
    const headers = headersOf(this.#connection, message);
    this.#checkSize(topic, data.byteLength, headerBytesOf(headers));
    const giveUpAtMs = performance.now() + this.#settings.requestTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      try {
        // A stream that was made anew would drop the message while no group has its consumer there.
        if (this.#isUnsure || this.#restoring !== undefined) await this.#ensureStream();
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
    const own = { topic, group };
    let known: string | undefined;
    this.#groups.add(own);
    const joining = NatsGroupMember.join(this.#jetStream, {
      stream,
      topic,
      deliver,
      ackWaitMs,
      concurrency,
      prefetch,
      ensureConsumer: async () => {
        // Making one takes the leader of the whole cluster, which may be away while all that is needed goes on.
        await this.#ensureStream();
        if (known === undefined || !(await this.#hasConsumer(known))) known = await this.#makeConsumer(own);
        return known;
      },
      ensureStream: () => this.#ensureStream(),
    });
    const member = await joining.catch((error) => {
      this.#groups.delete(own);
      throw error;
    });
    this.#members.add(member);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#members.delete(member);
        this.#groups.delete(own);
        await member[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    await Promise.all([...this.#members].map((member) => member[Symbol.asyncDispose]()));
    await this.#connection[Symbol.asyncDispose]();
  }

  #subjectOf(topic: string): string {
    return `${this.#settings.subjectPrefix}.${natsNameOf(topic)}`;
  }

  #checkSize(topic: string, dataBytes: number, headerBytes: number): void {
    const what = `the message to topic '${topic.slice(0, 100)}'`;
    this.#connection.checkSize(what, dataBytes + headerBytes);
    if (headerBytes <= mostHeaderBytes) return;
    const message = `the metadata of ${what} takes ${headerBytes} bytes of headers, and the NATS of '${this.#connection.name}' takes ${mostHeaderBytes}; send less metadata, or send it as data`;
    throw new RuntimeError("RESOURCE_EXHAUSTED", "NATS_TOO_LARGE", message);
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

  /** Resolves once there is the stream, with the consumers of the open subscriptions if it was made anew. */
  #ensureStream(): Promise<void> {
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  async #restore(): Promise<void> {
    this.#isUnsure = false;
    try {
      const { created } = await this.#jetStream.ensureStream(streamOf(this.#settings));
      if (created === this.#created) return;
      // The numbers of its messages begin again.
      for (const member of this.#members) member.forget();
      await Promise.all([...this.#groups].map((group) => this.#makeConsumer(group)));
      this.#created = created;
      const { stream } = this.#settings;
      const { name, log } = this.#connection;
      log.warn(
        { stream, subscriptions: this.#groups.size },
        `the stream '${stream}' on the NATS of '${name}' was gone and was made anew; what no group had taken yet is lost`,
      );
    } catch (error) {
      this.#isUnsure = true;
      throw error;
    }
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

  async #makeConsumer({ topic, group }: TopicGroup): Promise<string> {
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
}

interface TopicGroup {
  readonly topic: string;
  readonly group: string;
}

function streamOf({
  stream,
  subjectPrefix,
  maxAgeMs,
  maxBytes,
  whenFull,
  duplicateWindowMs,
  storage,
  replicas,
}: NatsPubSubSettings): StreamConfig {
  return {
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
}

/** Throws when the stream that was there is not for our topics; tells when it is kept by other rules than ours. */
function check(
  { name, log }: NatsConnection,
  { stream, subjectPrefix, maxAgeMs, maxBytes, whenFull, replicas, ...settings }: NatsPubSubSettings,
  { subjects, retention, max_age, max_bytes, discard, storage, num_replicas }: StreamInfo["config"],
): void {
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

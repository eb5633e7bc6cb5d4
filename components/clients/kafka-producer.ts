import type { ICustomPartitioner, Message, Producer } from "kafkajs";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import type { KafkaConnection } from "./kafka.ts";
import { typeOf } from "./kafka-failure.ts";
import { bytesOf, type OutgoingMessage, toKafka } from "./kafka-message.ts";
import { withinCall } from "./within-call.ts";

/** What goes in one request; a topic of the brokers' own takes a megabyte of it. */
const together = { messages: 1_000, bytes: 512 * 1024 };
/** So many topics one client keeps an eye on. */
const topicsOfClient = 1_000;

interface Waiting {
  readonly message: Message;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Nobody waits any more. */
  isAbandoned: boolean;
}

/** The messages to one topic: one request at a time, with all that came while the last was under way. */
interface TopicQueue {
  readonly topic: string;
  waiting: Waiting[];
  /** Turns so that requests without keys go to one partition after the other. */
  turn: number;
}

/** A producer of kafkajs, and how much it is used. */
interface Client {
  readonly ready: Promise<Producer>;
  readonly topics: Set<string>;
  inFlight: number;
}

/**
 * Sends messages so that each is kept by all replicas in sync, once and in order as far as it is acknowledged. A client with
 * which a request failed is not used again: its numbers of messages may be ahead of the broker's or behind, and the broker
 * would take a new message for one that it has.
 */
export class KafkaProducer implements AsyncDisposable {
  readonly #connection: KafkaConnection;
  readonly #queues = new Map<string, TopicQueue>();
  readonly #sending = new Set<Promise<void>>();
  readonly #farewells = new Set<Promise<void>>();
  #client: Client | undefined;
  #pendingBytes = 0;

  constructor(connection: KafkaConnection) {
    this.#connection = connection;
  }

  /** Resolves once the broker has it. */
  async send(topic: string, outgoing: OutgoingMessage, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const { name, settings } = this.#connection;
    this.#connection.requireName(topic);
    this.#connection.requireReachable();
    const bytes = bytesOf(outgoing);
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > settings.maxPendingBytes) throw this.#full();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { message: toKafka(outgoing), bytes, resolve, reject, isAbandoned: false };
    this.#pendingBytes += bytes;
    this.#add(topic, waiting);
    try {
      await withinCall(promise, call, { longestMs: settings.requestTimeoutMs, server: `the Kafka of '${name}'` });
    } catch (error) {
      waiting.isAbandoned = true;
      throw error;
    }
  }

  /** Waits for what is under way, though not for ever. */
  async [Symbol.asyncDispose](): Promise<void> {
    const endMs = this.#connection.farewellEndMs();
    await this.#connection.farewell(Promise.all(this.#sending), endMs);
    if (this.#client !== undefined) this.#retire(this.#client);
    await this.#connection.farewell(Promise.all(this.#farewells), endMs);
  }

  #add(topic: string, waiting: Waiting): void {
    const queue = this.#queues.get(topic);
    if (queue !== undefined) {
      queue.waiting.push(waiting);
      return;
    }
    const fresh: TopicQueue = { topic, waiting: [waiting], turn: 0 };
    this.#queues.set(topic, fresh);
    const sending = this.#sendAll(fresh).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  /** Never rejects: whoever waits is told. */
  async #sendAll(queue: TopicQueue): Promise<void> {
    // What is asked for in the same turn goes along.
    await new Promise((resolve) => setImmediate(resolve));
    for (;;) {
      const batch = this.#taken(queue);
      if (batch.length === 0) break;
      await this.#sendBatch(queue, batch);
      queue.turn++;
    }
    this.#queues.delete(queue.topic);
  }

  #taken(queue: TopicQueue): readonly Waiting[] {
    const batch: Waiting[] = [];
    let bytes = 0;
    let count = 0;
    for (const one of queue.waiting) {
      if (batch.length > 0 && (bytes + one.bytes > together.bytes || batch.length >= together.messages)) break;
      count++;
      if (one.isAbandoned) this.#pendingBytes -= one.bytes;
      else {
        batch.push(one);
        bytes += one.bytes;
      }
    }
    queue.waiting = queue.waiting.slice(count);
    return batch;
  }

  async #sendBatch({ topic }: TopicQueue, batch: readonly Waiting[]): Promise<void> {
    try {
      this.#connection.requireReachable();
      await this.#connection.ensureTopic(topic);
      await this.#request(topic, batch);
      this.#settled(batch);
      for (const { resolve } of batch) resolve();
    } catch (error) {
      if (typeOf(error) === "UNKNOWN_TOPIC_OR_PARTITION") this.#connection.forgetTopic(topic);
      if (batch.length > 1 && ofOne.has(typeOf(error))) return this.#sendEach(topic, batch);
      this.#settled(batch);
      const failure = this.#connection.failed(error);
      for (const { reject } of batch) reject(failure);
    }
  }

  /** One of them made the request fail. */
  async #sendEach(topic: string, batch: readonly Waiting[]): Promise<void> {
    for (const one of batch) {
      try {
        await this.#request(topic, [one]);
        one.resolve();
      } catch (error) {
        one.reject(this.#connection.failed(error));
      }
      this.#settled([one]);
    }
  }

  async #request(topic: string, batch: readonly Waiting[]): Promise<void> {
    const client = this.#clientFor(topic);
    client.inFlight++;
    try {
      const producer = await client.ready;
      const messages = batch.map(({ message }) => message);
      await producer.send({ topic, messages, acks: -1, timeout: this.#connection.settings.requestTimeoutMs });
    } catch (error) {
      this.#retire(client);
      throw error;
    } finally {
      client.inFlight--;
      if (client !== this.#client) this.#endIfUnused(client);
    }
  }

  #settled(batch: readonly Waiting[]): void {
    for (const { bytes } of batch) this.#pendingBytes -= bytes;
  }

  #clientFor(topic: string): Client {
    if (this.#client !== undefined && this.#client.topics.size >= topicsOfClient) this.#retire(this.#client);
    this.#client ??= { ready: this.#connect(), topics: new Set(), inFlight: 0 };
    this.#client.topics.add(topic);
    return this.#client;
  }

  async #connect(): Promise<Producer> {
    const producer = this.#connection.hastyClient().producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: this.#partitioner(),
    });
    try {
      await producer.connect();
      return producer;
    } catch (error) {
      producer.disconnect().catch(() => undefined);
      throw error;
    }
  }

  /** By the key as the Java clients do it; without one all of a request go to the same. A request that is sent again goes where it went. */
  #partitioner(): ICustomPartitioner {
    const byKey = this.#connection.kafkajs.Partitioners.DefaultPartitioner();
    return () => (choice) => {
      if (choice.message.key !== null && choice.message.key !== undefined) return byKey(choice);
      const turn = this.#queues.get(choice.topic)?.turn ?? 0;
      return choice.partitionMetadata[turn % choice.partitionMetadata.length]?.partitionId ?? 0;
    };
  }

  /** Takes it out of use; what is under way with it goes on. */
  #retire(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#endIfUnused(client);
  }

  #endIfUnused({ inFlight, ready }: Client): void {
    if (inFlight > 0) return;
    const farewell = ready
      .then((producer) => producer.disconnect())
      .catch(() => undefined)
      .finally(() => this.#farewells.delete(farewell));
    this.#farewells.add(farewell);
  }

  #full(): RuntimeError {
    const message = `as many bytes wait to be sent to the Kafka of '${this.#connection.name}' as may (maxPendingBytes); publish more slowly`;
    return new RuntimeError("RESOURCE_EXHAUSTED", "KAFKA_PENDING", message);
  }
}

/** Errors by which the broker refuses a whole request for one of its messages. */
const ofOne: ReadonlySet<string> = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"]);

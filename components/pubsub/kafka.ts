import { type KafkaConnection, openKafka } from "../clients/kafka.ts";
import { KafkaProducer } from "../clients/kafka-producer.ts";
import { type KafkaGroupSettings, kafkaGroupSettings, kafkaSettings } from "../clients/kafka-settings.ts";
import { KafkaSubscription } from "../clients/kafka-subscription.ts";
import type { CallContext } from "../component.ts";
import { type Deliver, definePubSub, type PublishMessage, type PubSub, type SubscribeTopic } from "./pubsub.ts";

/** Topics of Apache Kafka. A group GROUP subscribes to TOPIC as the consumer group GROUP.TOPIC. */
export const kafkaPubSub = definePubSub({
  type: "kafka",
  capabilities: ["ordered", "durable", "redelivery", "shared"],
  capabilitiesWith: ({ partitions }) =>
    partitions === 1 ? ["ordered", "durable", "redelivery", "shared"] : ["durable", "redelivery", "shared"],
  config: kafkaSettings.extend(kafkaGroupSettings),
  open: async (settings, context) => new KafkaPubSub(await openKafka(settings, context), settings),
});

class KafkaPubSub implements PubSub {
  readonly #connection: KafkaConnection;
  readonly #settings: KafkaGroupSettings;
  readonly #producer: KafkaProducer;
  readonly #subscriptions = new Set<AsyncDisposable>();

  constructor(connection: KafkaConnection, settings: KafkaGroupSettings) {
    this.#connection = connection;
    this.#settings = settings;
    this.#producer = new KafkaProducer(connection);
  }

  checkTopic(topic: string): void {
    this.#connection.requireName(topic);
  }

  publish({ topic, data, contentType, metadata }: PublishMessage, call: CallContext): Promise<void> {
    return this.#producer.send(topic, { data, contentType, metadata }, call);
  }

  async subscribe({ topic, group }: SubscribeTopic, deliver: Deliver): Promise<AsyncDisposable> {
    const subscription = await KafkaSubscription.open({
      connection: this.#connection,
      settings: this.#settings,
      // Members of one consumer group have the same topics, or an assignment to one of them may name a topic it does not know.
      groupId: `${group}.${topic}`,
      topic,
      deliver,
    });
    this.#subscriptions.add(subscription);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#subscriptions.delete(subscription);
        await subscription[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.startClosing();
    await Promise.all([...this.#subscriptions].map((subscription) => subscription[Symbol.asyncDispose]()));
    await this.#producer[Symbol.asyncDispose]();
    await this.#connection[Symbol.asyncDispose]();
  }
}

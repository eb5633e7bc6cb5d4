import { z } from "zod";
import { type KafkaConnection, openKafka } from "../clients/kafka.ts";
import { KafkaProducer } from "../clients/kafka-producer.ts";
import type { SessionOptions } from "../clients/kafka-session.ts";
import { kafkaGroupSettings, kafkaSettings } from "../clients/kafka-settings.ts";
import { KafkaSubscription } from "../clients/kafka-subscription.ts";
import { throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { type Binding, type DeliverBindingEvent, defineBinding } from "./binding.ts";

const topicName = z
  .string()
  .regex(/^[\w.-]{1,249}$/, "expected 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'");

const settingsOfBinding = kafkaSettings.extend({
  topics: z
    .array(topicName)
    .default([])
    .describe("Topics whose messages are brought in; default none, a binding that only goes out"),
  group: z
    .string()
    .min(1)
    .default("outrigger")
    .describe(
      "Bindings of one group share the messages; of TOPIC they are the consumer group GROUP.TOPIC. Default outrigger",
    ),
  publishTopic: topicName
    .optional()
    .describe(
      "Where `create` sends to; default none, and then metadata `topic` says where. Metadata never goes against it",
    ),
  ...kafkaGroupSettings,
});

type Settings = z.output<typeof settingsOfBinding>;

/** Messages to and from topics of Apache Kafka. `create` sends one; metadata `partitionKey` is its key. */
export const kafkaBinding = defineBinding({
  type: "kafka",
  capabilities: ["input", "output", "redelivery"],
  capabilitiesWith: ({ topics }) => (topics.length > 0 ? ["input", "output", "redelivery"] : ["output"]),
  config: settingsOfBinding,
  async open(settings, context) {
    const connection = await openKafka(settings, context);
    const producer = new KafkaProducer(connection);
    const listening = new Set<AsyncDisposable>();
    const binding: Binding = {
      operations: ["create"],
      async invoke({ data, metadata }, call) {
        throwIfAborted(call);
        const { topic, rest } = destinationOf(metadata, settings.publishTopic, context.name);
        await producer.send(topic, { data, metadata: rest }, call);
        return { data: new Uint8Array(0), metadata: { topic } };
      },
      async [Symbol.asyncDispose]() {
        connection.startClosing();
        await Promise.all([...listening].map((one) => one[Symbol.asyncDispose]()));
        await producer[Symbol.asyncDispose]();
        await connection[Symbol.asyncDispose]();
      },
    };
    if (settings.topics.length === 0) return binding;
    return {
      ...binding,
      async listen(deliver) {
        const subscriptions = await subscribed(connection, settings, deliver);
        listening.add(subscriptions);
        return {
          async [Symbol.asyncDispose]() {
            listening.delete(subscriptions);
            await subscriptions[Symbol.asyncDispose]();
          },
        };
      },
    };
  },
});

/** Where the message goes, and the metadata that goes along. */
function destinationOf(
  { topic: asked, ...rest }: Readonly<Record<string, string>>,
  configured: string | undefined,
  name: string,
): { readonly topic: string; readonly rest: Readonly<Record<string, string>> } {
  const topic = configured ?? asked ?? "";
  if (topic !== "" && (asked === undefined || asked === topic)) return { topic, rest };
  const why = topic === "" ? "names no topic; set publishTopic or give metadata 'topic'" : `sends to '${topic}' only`;
  throw new RuntimeError("INVALID_ARGUMENT", "KAFKA_TOPIC", `the binding '${name}' ${why}`);
}

/** Brings in the messages of all topics; of none when one of them fails. */
async function subscribed(
  connection: KafkaConnection,
  settings: Settings,
  deliver: DeliverBindingEvent,
): Promise<AsyncDisposable> {
  const opened: AsyncDisposable[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((one) => one[Symbol.asyncDispose]()));
  };
  await using closing = new AsyncDisposableStack();
  closing.defer(close);
  const opening = settings.topics.map(async (topic) => {
    const groupId = `${settings.group}.${topic}`;
    const deliverEvent: SessionOptions["deliver"] = ({ id, data, contentType, metadata }, signal) =>
      deliver({ data, metadata: { ...metadata, topic, id, contentType } }, signal);
    opened.push(await KafkaSubscription.open({ connection, settings, groupId, topic, deliver: deliverEvent }));
  });
  await Promise.allSettled(opening);
  await Promise.all(opening);
  return closing.move();
}

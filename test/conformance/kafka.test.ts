/** Backends on Kafka, before the last brokers of the third generation and the newest of all. */
import { Kafka, logLevel } from "kafkajs";
import { type KafkaServer, startKafka } from "../support/kafka-server.ts";
import { type Line, withServer } from "./matrix.ts";

const linesOn =
  (variant: string) =>
  (server: () => KafkaServer): readonly Line[] => {
    const settings = () => ({ brokers: [server().address], sessionTimeoutMs: 3_000, heartbeatIntervalMs: 300 });
    const bringEvent = () => publish(server().address, "bindings.in");
    return [
      { kind: "pubsub", type: "kafka", variant, settings },
      {
        kind: "pubsub",
        type: "kafka",
        variant: `${variant}, partitions`,
        settings: () => ({ ...settings(), partitions: 3 }),
        capabilities: ["durable", "redelivery", "shared"],
      },
      {
        kind: "binding",
        type: "kafka",
        variant,
        settings: () => ({ ...settings(), topics: ["bindings.in"], publishTopic: "bindings.out" }),
        bringEvent,
      },
      { kind: "binding", type: "kafka", variant: `${variant}, output`, settings, capabilities: ["output"] },
    ];
  };

async function publish(broker: string, topic: string): Promise<void> {
  const producer = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  try {
    await producer.send({ topic, messages: [{ value: "an event" }] });
  } finally {
    await producer.disconnect();
  }
}

await withServer("kafka 3.9", () => startKafka("3.9.2"), linesOn("3.9"));
await withServer("kafka 4", () => startKafka("4.4.0"), linesOn("4"));

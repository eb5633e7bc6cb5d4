/** Backends on the newest Kafka; before an older one see kafka-3.test.ts. */
import { Kafka, logLevel } from "kafkajs";
import { startKafka } from "../support/kafka-server.ts";
import { withServer } from "./matrix.ts";

await withServer(
  "kafka 4",
  () => startKafka("4.4.0"),
  (server) => {
    const settings = () => ({
      brokers: [server().address],
      connectTimeoutMs: 2_000,
      sessionTimeoutMs: 3_000,
      heartbeatIntervalMs: 300,
    });
    return [
      { kind: "pubsub", type: "kafka", settings },
      {
        kind: "binding",
        type: "kafka",
        settings: () => ({ ...settings(), topics: ["bindings.in"], publishTopic: "bindings.out" }),
        invocation: { operation: "create", metadata: {} },
        bringEvent: () => publish(server().address, "bindings.in"),
      },
    ];
  },
);

async function publish(broker: string, topic: string): Promise<void> {
  const producer = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  try {
    await producer.send({ topic, messages: [{ value: "an event" }] });
  } finally {
    await producer.disconnect();
  }
}

/** Backends before the last Kafka of the third generation. */
import { startKafka } from "../support/kafka-server.ts";
import { withServer } from "./matrix.ts";

await withServer(
  "kafka 3.9",
  () => startKafka("3.9.2"),
  (server) => [
    {
      kind: "pubsub",
      type: "kafka",
      variant: "3.9",
      settings: () => ({
        brokers: [server().address],
        connectTimeoutMs: 2_000,
        sessionTimeoutMs: 3_000,
        heartbeatIntervalMs: 300,
      }),
    },
  ],
);

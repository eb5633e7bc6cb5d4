import { z } from "zod";
import { milliseconds } from "./milliseconds.ts";
import { secretSetting } from "./secret-setting.ts";
import { tlsSettings } from "./tls-settings.ts";

/** The settings that every component on Kafka has; a component adds its own. */
export const kafkaSettings = z.strictObject({
  brokers: z
    .array(z.string().regex(/^[^\s:/@]+:\d{1,5}$/, "expected HOST:PORT"))
    .min(1)
    .default(["127.0.0.1:9092"])
    .describe("Some of the brokers, HOST:PORT each; they name the others. Default 127.0.0.1:9092"),
  clientId: z
    .string()
    .min(1)
    .default("outrigger")
    .describe("Name under which quotas and logs of the brokers know the component; default outrigger"),
  sasl: z
    .strictObject({
      mechanism: z
        .enum(["plain", "scram-sha-256", "scram-sha-512"])
        .default("plain")
        .describe("How the password is proven; default plain, which sends it, so use it with tls"),
      username: z.string().min(1).describe("User at the brokers"),
      password: secretSetting.describe("Password: the text, or where in a secret store it lies"),
    })
    .optional()
    .describe("User and password; default none"),
  tls: tlsSettings.optional().describe("Speak TLS; {} trusts the authorities of Node. Default plain TCP"),
  connectTimeoutMs: milliseconds
    .default(5_000)
    .describe(
      "Longest wait for the brokers when the component is opened, and for each connection, in milliseconds; default 5 seconds",
    ),
  requestTimeoutMs: milliseconds
    .default(10_000)
    .describe("Longest wait for an answer, in milliseconds; a call that waits longer fails. Default 10 seconds"),
  createTopics: z
    .boolean()
    .default(true)
    .describe("Create a topic that is published or subscribed to and is not there; default true"),
  partitions: z
    .int()
    .positive()
    .default(1)
    .describe(
      "Partitions of topics that are created; default 1, which keeps all messages in order. With more, those of one key are in order",
    ),
  replicationFactor: z
    .int()
    .positive()
    .optional()
    .describe("Copies of each partition of topics that are created; default what the brokers have as theirs"),
  maxMessageBytes: z
    .int()
    .positive()
    .default(4 * 1024 ** 2)
    .describe("Largest message that topics take which are created, in bytes; default 4 MiB"),
  maxPendingBytes: z
    .int()
    .positive()
    .default(64 * 1024 ** 2)
    .describe("Most bytes of messages that wait to be sent; default 64 MiB. Publishing over it is refused"),
});

export type KafkaSettings = z.output<typeof kafkaSettings>;

/** The settings of whoever consumes in a group. */
export const kafkaGroupSettings = {
  sessionTimeoutMs: milliseconds
    .default(10_000)
    .describe(
      "After this long without a sign of life a subscriber is taken for dead and its partitions go to others of its group, in milliseconds; default 10 seconds",
    ),
  heartbeatIntervalMs: milliseconds
    .default(1_000)
    .describe("How often a subscriber gives a sign of life, in milliseconds; default 1 second"),
  prefetchBytes: z
    .int()
    .positive()
    .default(1024 ** 2)
    .describe("About how many bytes a subscription fetches ahead of its handler; default 1 MiB"),
  partitionsAtOnce: z
    .int()
    .positive()
    .default(4)
    .describe("From how many partitions a subscription delivers at a time, one message of each; default 4"),
};

export type KafkaGroupSettings = z.output<z.ZodObject<typeof kafkaGroupSettings>>;

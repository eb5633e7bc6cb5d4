import { z } from "zod";
import { milliseconds } from "../clients/milliseconds.ts";
import { openNats } from "../clients/nats.ts";
import { jetStreamSettings, natsMaxBytes, natsName, natsSettings } from "../clients/nats-settings.ts";
import { CoreNatsPubSub } from "./nats-core.ts";
import { JetStreamPubSub } from "./nats-stream.ts";
import { definePubSub } from "./pubsub.ts";

const settings = natsSettings.extend({
  ...jetStreamSettings,
  durable: z
    .boolean()
    .default(true)
    .describe(
      "Keep messages in a stream of JetStream until each group has acknowledged them; default true. Otherwise core NATS: who is not there gets nothing",
    ),
  stream: natsName
    .default("outrigger-events")
    .describe("Stream for the messages of all topics, made when there is none; default outrigger-events"),
  subjectPrefix: z
    .string()
    .regex(/^[\w-]+(\.[\w-]+)*$/, "expected tokens of letters, digits, _ and -, with dots between them")
    .max(200)
    .default("outrigger")
    .describe(
      "Topics are subjects below this one; default outrigger, so that topic orders is subject outrigger.orders",
    ),
  maxAgeMs: z
    .int()
    .positive()
    .default(7 * 24 * 3_600_000)
    .describe(
      "How long a message waits for groups that do not take it, when the stream is made here, in milliseconds; default 7 days",
    ),
  maxBytes: natsMaxBytes.describe("Most bytes of the stream, when it is made here; default 1 GiB"),
  whenFull: z
    .enum(["refuse", "drop-oldest"])
    .default("refuse")
    .describe("What a full stream does: refuse (default) what is published, or drop its oldest messages, taken or not"),
  duplicateWindowMs: milliseconds
    .min(100)
    .default(120_000)
    .describe(
      "How long the stream knows a message that is sent again because the first answer was lost, in milliseconds; default 2 minutes",
    ),
  ackWaitMs: milliseconds
    .min(300)
    .default(15_000)
    .describe(
      "A message whose subscriber has died comes to another after this, in milliseconds; default 15 seconds. While a subscriber works it may take longer",
    ),
  concurrency: z
    .int()
    .positive()
    .max(1_000)
    .default(1)
    .describe(
      "Most deliveries to one subscriber at a time; default 1, so that messages are worked on in publish order",
    ),
  prefetch: z
    .int()
    .min(0)
    .max(1_000)
    .default(16)
    .describe("Most messages that wait here for a subscriber that is busy; default 16"),
  maxAckPending: z
    .int()
    .positive()
    .default(1_000)
    .describe(
      "Most messages of a group that are with its subscribers or wait to be tried again; default 1000. Over it no further ones are delivered",
    ),
  maxPending: z
    .int()
    .positive()
    .default(10_000)
    .describe(
      "Without durable: most messages that wait here for the subscribers of a group; default 10000. What comes over it is lost",
    ),
  maxPendingBytes: z
    .int()
    .positive()
    .default(64 * 1024 ** 2)
    .describe("Without durable: most bytes of those; default 64 MiB"),
});

export type NatsPubSubSettings = z.output<typeof settings>;

/** Topics on NATS: in a stream of JetStream, or on core NATS where nothing needs to be kept. */
export const natsPubSub = definePubSub({
  type: "nats",
  capabilities: ["ordered", "durable", "redelivery", "shared"],
  config: settings,
  capabilitiesWith: ({ durable, storage, concurrency }) => [
    ...(concurrency === 1 ? (["ordered"] as const) : []),
    ...(durable && storage === "file" ? (["durable"] as const) : []),
    "redelivery",
    "shared",
  ],
  open: async (given, context) => {
    const connection = await openNats(given, context);
    return given.durable ? JetStreamPubSub.open(connection, given) : new CoreNatsPubSub(connection, given);
  },
});

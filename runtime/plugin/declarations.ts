/** What a service declares to be woken up by: topics, and the clock. */
import { z } from "zod";
import { schedule, timeZone } from "../../components/schedule.ts";
import { duration, name } from "../config/scalars.ts";

const most = 64;
const maxDataBytes = 64 * 1024;
/** No event may wait longer: a broker would give it to somebody else meanwhile. */
const longestTimeoutMs = 300_000;

const path = z
  .string()
  .regex(
    /^\/[\x21-\x22\x24-\x7e]{0,1023}$/,
    "expected a path, such as /events/orders, of up to 1024 visible characters",
  );

const timeout = duration
  .refine((ms) => ms > 0 && ms <= longestTimeoutMs, "expected a duration above 0 and up to 5m")
  .default(60_000);

const subscription = z
  .strictObject({
    pubsub: name.describe("Pub/sub component, which plugins.grants must give the plugin"),
    topic: z.string().min(1).max(512).describe("Topic whose events are posted to the plugin"),
    path: path.optional().describe("Where they are posted; default /events/PUBSUB/TOPIC"),
    deadLetterTopic: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe("Where events go that are dropped, or were tried too often; default back to the broker"),
    maxAttempts: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe(
        "Tries of one event; without a dead-letter topic it is dropped then. Default 5, and back to the broker",
      ),
    timeout: timeout.describe("Longest wait for the answer to one try; default 1m"),
    metadata: z
      .record(z.string().min(1).max(128), z.string().max(1024))
      .refine((entries) => Object.keys(entries).length <= most, `expected no more than ${most}`)
      .default({})
      .describe("What the component is told of the subscription"),
  })
  .refine(({ topic, deadLetterTopic }) => topic !== deadLetterTopic, {
    path: ["deadLetterTopic"],
    message: "expected another topic: events that are dropped would come back for ever",
  });

const scheduled = z.strictObject({
  name: name.describe("What the schedule is called in its path and in the log"),
  cron: schedule,
  timeZone,
  path: path.optional().describe("Where its ticks are posted; default /schedules/NAME"),
  data: z
    .unknown()
    .refine((data) => Buffer.byteLength(dataText(data) ?? "") <= maxDataBytes, "expected no more than 64Ki")
    .optional()
    .describe("Body of the ticks: text as it is, anything else as JSON; default none"),
  timeout: timeout.describe("Longest wait for the answer to one tick; default 1m"),
});

export type Subscription = z.output<typeof subscription>;
export type Schedule = z.output<typeof scheduled>;

/** The topics of a manifest. */
export const subscriptions = z
  .array(subscription)
  .max(most, `expected no more than ${most}`)
  .refine((list) => isWithoutTwins(list.map(({ pubsub, topic }) => `${pubsub}/${topic}`)), "expected each topic once")
  .default([])
  .describe("Topics whose events reach the plugin as requests; of services only");

/** The schedules of a manifest. */
export const schedules = z
  .array(scheduled)
  .max(most, `expected no more than ${most}`)
  .refine((list) => isWithoutTwins(list.map(({ name }) => name)), "expected each name once")
  .default([])
  .describe("Ticks of the clock that reach the plugin as requests; of services only");

/** Where the events of a subscription are posted. */
export const pathOfEvents = ({ pubsub, topic, path }: Subscription): string =>
  path ?? `/events/${encodeURIComponent(pubsub)}/${encodeURIComponent(topic)}`;

/** Where the ticks of a schedule are posted. */
export const pathOfTicks = ({ name, path }: Schedule): string => path ?? `/schedules/${encodeURIComponent(name)}`;

/** The body of a schedule's ticks; undefined without one. */
export function dataText(data: unknown): string | undefined {
  if (data === undefined || data === null) return undefined;
  return typeof data === "string" ? data : JSON.stringify(data);
}

const isWithoutTwins = (names: readonly string[]): boolean => new Set(names).size === names.length;

import { z } from "zod";
import { duration } from "../../config/scalars.ts";

/** Names and values as they lie in a request; without a value the presence of the name is enough. */
const match = z.strictObject({ name: z.string().min(1).max(128), value: z.string().max(1024).optional() });

/** The smallest share that there is, of streams that are counted in ten thousandths. */
const leastPercent = 0.01;

/** How a version comes into service: at once, or after it has proved itself on a part of the traffic. */
export const rolloutPolicy = z.strictObject({
  canary: z
    .strictObject({
      percent: z
        .number()
        .min(0)
        .max(100)
        .refine((percent) => percent === 0 || percent >= leastPercent, `expected 0, or ${leastPercent} or more`)
        .default(0)
        .describe("Streams that go to the new version, of all that match nothing: 0, or 0.01 or more; default 0"),
      header: match.optional().describe("Requests with this header go to the new version"),
      cookie: match.optional().describe("Requests with this cookie go to the new version"),
      hashBy: z
        .union([
          z.strictObject({ header: z.string().min(1) }),
          z.strictObject({ cookie: z.string().min(1) }),
          z.literal("source"),
        ])
        .optional()
        .describe(
          "What keeps a client on one version: a header, a cookie or its address; default every stream by itself",
        ),
    })
    .refine(
      ({ percent, header, cookie }) => percent > 0 || header !== undefined || cookie !== undefined,
      "expected a percent above 0, a header or a cookie: without them nothing goes to the new version",
    )
    .optional()
    .describe("The new version gets a part of the traffic first; without it, all at once"),
  promotion: z
    .enum(["automatic", "manual"])
    .default("automatic")
    .describe("Whether a version on trial that does well becomes stable by itself; default automatic"),
  window: duration
    .default(60_000)
    .describe("How long a version is on trial, at least, before it is promoted; default 1m"),
  minimumStreams: z
    .int()
    .min(1)
    .default(100)
    .describe(
      "Fewest streams that must have ended on the new version before its failures and its latency are judged; default 100",
    ),
  errorRate: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe("Most that the share of failed streams may be above the stable version's; default 0.01"),
  traps: z.int().min(0).default(0).describe("Most crashes of the new version; default 0"),
  latency: z
    .number()
    .min(1)
    .default(1.5)
    .describe(
      "Most that the 99th percentile may be at the end of the window, as a multiple of the stable version's; less than 5ms more, or fewer than 10 slow streams, are never too much. Default 1.5",
    ),
  warmUp: z
    .int()
    .min(0)
    .max(1_000)
    .default(0)
    .describe(
      "Synthetic requests that a new instance serves before any real one, within 10s for all configurations in use; default 0",
    ),
  stagedOnly: z
    .boolean()
    .default(false)
    .describe("Start the version, and wait to be told before it gets any traffic; default false"),
});

/** A policy that was found good, with its defaults; times in milliseconds. */
export type RolloutPolicy = z.output<typeof rolloutPolicy>;

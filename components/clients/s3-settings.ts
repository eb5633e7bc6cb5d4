import { z } from "zod";
import { milliseconds } from "./milliseconds.ts";
import { secretSetting } from "./secret-setting.ts";
import { isServerUrl } from "./server-url.ts";
import { tlsSettings } from "./tls-settings.ts";

/** The settings of a bucket of S3, or of a server that speaks like it. */
export const s3Settings = z.strictObject({
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "expected 3 to 63 lower-case letters, digits, dots and hyphens")
    .describe("The bucket; it must be there"),
  prefix: z
    .string()
    .max(512)
    .default("")
    .describe("What names of files begin with in the bucket, such as orders/; default nothing"),
  endpoint: z
    .string()
    .regex(/^https?:\/\/[^\s/?#@]+\/?$/, { error: "expected http://HOST:PORT or https://HOST:PORT", abort: true })
    .refine(isServerUrl, { error: "expected http://HOST:PORT or https://HOST:PORT with a port from 1 to 65535" })
    .optional()
    .describe("A server that speaks like S3: https://HOST:PORT; default Amazon's of the region"),
  pathStyle: z
    .boolean()
    .optional()
    .describe("Name the bucket in the path in place of the host; default true with an endpoint, false with Amazon's"),
  region: z.string().min(1).default("us-east-1").describe("Region of the bucket; default us-east-1"),
  credentials: z
    .union([
      z.literal("default"),
      z.strictObject({
        accessKeyId: secretSetting.describe("The access key"),
        secretAccessKey: secretSetting.describe("Its secret"),
        sessionToken: secretSetting.optional().describe("Token that belongs to both, if they are temporary"),
      }),
    ])
    .describe(
      "accessKeyId, secretAccessKey and sessionToken; or `default`, by which the AWS client looks for them: in the environment, in its files, and with the service that runs the machine",
    ),
  tls: tlsSettings.optional().describe("How to speak TLS with an endpoint that begins with https"),
  partBytes: z
    .int()
    .min(5 * 1024 ** 2)
    .max(64 * 1024 ** 2)
    .default(8 * 1024 ** 2)
    .describe(
      "A file that is larger is sent in parts of this size, each held in memory; default 8 MiB, at least 5 MiB",
    ),
  maxFileBytes: z
    .int()
    .positive()
    .default(1024 ** 3)
    .describe("Largest file that can be put; default 1 GiB. A file has at most 10,000 parts"),
  maxPuts: z
    .int()
    .positive()
    .default(32)
    .describe("Most files that are put at once, each with a part in memory; one more is refused. Default 32"),
  maxConnections: z.int().positive().default(64).describe("Most connections to the server; default 64"),
  connectTimeoutMs: milliseconds
    .default(5_000)
    .describe("Longest wait for a connection, in milliseconds; default 5 seconds"),
  replyTimeoutMs: milliseconds
    .default(30_000)
    .describe(
      "Longest wait for an answer, for a part to be taken, and for more of a file, in milliseconds; default 30 seconds",
    ),
});

export type S3Settings = z.output<typeof s3Settings>;

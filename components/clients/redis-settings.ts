import { z } from "zod";

const endpoint = z.string().regex(/^(\[[\da-fA-F:.]+\]|[^\s:[\]/@]+):\d{1,5}$/, "expected HOST:PORT");
const file = z.string().min(1);

/** The settings that every component on Redis has; a component may add its own. */
export const redisSettings = z
  .strictObject({
    url: z
      .string()
      .regex(/^(rediss?:\/\/|unix:\/)\S+$/, "expected redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:/PATH")
      .optional()
      .describe(
        "The server: redis://HOST:PORT/DB, rediss:// for TLS, or unix:/PATH; default redis://127.0.0.1:6379. It may hold a user and a password",
      ),
    cluster: z
      .array(endpoint)
      .min(1)
      .optional()
      .describe("In place of url: some nodes of a Redis Cluster, HOST:PORT each"),
    sentinel: z
      .strictObject({
        master: z.string().min(1).describe("The name under which the sentinels know the primary"),
        nodes: z.array(endpoint).min(1).describe("The sentinels, HOST:PORT each"),
        username: z.string().min(1).optional().describe("User at the sentinels"),
        password: z
          .string()
          .min(1)
          .optional()
          .describe("Password at the sentinels; take it from the environment: ${NAME}"),
      })
      .optional()
      .describe("In place of url: the sentinels that know the primary, which is found anew when it fails"),
    username: z.string().min(1).optional().describe("User (ACL); default the server's default user"),
    password: z.string().min(1).optional().describe("Password; take it from the environment: ${NAME}"),
    passwordFile: file
      .optional()
      .describe("File that holds the password, such as a mounted secret; in place of password"),
    db: z.int().min(0).optional().describe("Database number; default the url's, else 0. A cluster has only 0"),
    tls: z
      .strictObject({
        ca: file.optional().describe("File with the authorities to trust (PEM); default those of Node"),
        cert: file.optional().describe("File with the certificate to show (PEM)"),
        key: file.optional().describe("File with its private key (PEM)"),
        serverName: z.string().min(1).optional().describe("Name to ask for and to check; default the host's"),
      })
      .optional()
      .describe("Speak TLS, which rediss:// does with no settings at all"),
    connectTimeoutMs: z
      .int()
      .positive()
      .default(5_000)
      .describe(
        "Longest wait for the server when the component is opened, and for each connection, in milliseconds; default 5 seconds",
      ),
    replyTimeoutMs: z
      .int()
      .positive()
      .default(5_000)
      .describe(
        "A connection on which nothing arrives for this long while replies are due is given up, in milliseconds; default 5 seconds",
      ),
  })
  .refine(({ url, cluster, sentinel }) => [url, cluster, sentinel].filter((one) => one !== undefined).length <= 1, {
    message: "give one of url, cluster and sentinel",
  })
  .refine(({ password, passwordFile }) => password === undefined || passwordFile === undefined, {
    message: "give password or passwordFile, not both",
  })
  .refine(({ cluster, db }) => cluster === undefined || db === undefined || db === 0, {
    message: "a cluster has no database but 0",
  });

export type RedisSettings = z.output<typeof redisSettings>;

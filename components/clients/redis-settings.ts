import { z } from "zod";
import { milliseconds } from "./milliseconds.ts";
import { secretSetting } from "./secret-setting.ts";
import { isServerUrl } from "./server-url.ts";
import { tlsSettings } from "./tls-settings.ts";

/** What is no number of a database is the rest of a user or a password that has special characters as they are. */
function isRedisUrl(url: string): boolean {
  if (url.startsWith("unix:")) return true;
  if (!isServerUrl(url)) return false;
  const { pathname, search, hash } = new URL(url);
  return /^\/?\d*$/.test(pathname) && search === "" && hash === "";
}

const endpoint = z.string().regex(/^(\[[\da-fA-F:.]+\]|[^\s:[\]/@]+):\d{1,5}$/, "expected HOST:PORT");

/** The settings that every component on Redis has; a component may add its own. */
export const redisSettings = z
  .strictObject({
    url: z
      .string()
      .regex(/^(rediss?:\/\/|unix:\/)\S+$/, {
        error: "expected redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:/PATH",
        abort: true,
      })
      .refine(isRedisUrl, {
        error:
          "expected redis://HOST:PORT/DB with a port from 1 to 65535 and a number for DB; percent-encode special characters of a user and a password in it, or give them as username and password",
      })
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
        password: secretSetting.optional().describe("Password at the sentinels"),
      })
      .optional()
      .describe("In place of url: the sentinels that know the primary, which is found anew when it fails"),
    username: z.string().min(1).optional().describe("User (ACL); default the server's default user"),
    password: secretSetting.optional().describe("Password"),
    db: z.int().min(0).optional().describe("Database number; default the url's, else 0. A cluster has only 0"),
    tls: tlsSettings.optional().describe("Speak TLS, which rediss:// does with no settings at all"),
    connectTimeoutMs: milliseconds
      .default(5_000)
      .describe(
        "Longest wait for the server when the component is opened, and for each connection, in milliseconds; default 5 seconds",
      ),
    replyTimeoutMs: milliseconds
      .default(5_000)
      .describe(
        "A connection on which nothing arrives for this long while replies are due is given up, in milliseconds; default 5 seconds",
      ),
  })
  .refine(({ url, cluster, sentinel }) => [url, cluster, sentinel].filter((one) => one !== undefined).length <= 1, {
    message: "give one of url, cluster and sentinel",
  })
  .refine(({ cluster, db }) => cluster === undefined || db === undefined || db === 0, {
    message: "a cluster has no database but 0",
  });

export type RedisSettings = z.output<typeof redisSettings>;

import { z } from "zod";
import { milliseconds } from "./milliseconds.ts";
import { secretSetting } from "./secret-setting.ts";
import { isServerUrl } from "./server-url.ts";
import { tlsSettings } from "./tls-settings.ts";

const identifier = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,47}$/, "expected at most 48 letters, digits and _");

/** The settings that every component on Postgres has; a component may add its own. */
export const postgresSettings = z.strictObject({
  url: z
    .string()
    .regex(/^postgres(ql)?:\/\/[^\s?#@/]+(\/[^\s?#/]*)?$/, {
      error: "expected postgres://HOST:PORT/DATABASE and nothing more; a user is username, a password is password",
      abort: true,
    })
    .refine(isServerUrl, {
      error: "expected postgres://HOST:PORT/DATABASE with a port from 1 to 65535, and a % only where two digits follow",
    })
    .default("postgres://127.0.0.1:5432")
    .describe(
      "The server: postgres://HOST:PORT/DATABASE; default postgres://127.0.0.1:5432 and the database that is named like the user. A folder with a socket is a host with %2F for each slash",
    ),
  username: z.string().min(1).default("postgres").describe("User (role); default postgres"),
  password: secretSetting.optional().describe("The user's password; default none"),
  tls: tlsSettings.optional().describe("Speak TLS; default not"),
  schema: identifier.optional().describe("Schema of the table; default the first one of the user's search path"),
  table: identifier
    .optional()
    .describe(
      "The table; default KIND_NAME, such as state_orders. It is made when there is none; the user must have the right to that, or to read and write it",
    ),
  maxConnections: z.int().min(1).max(1000).default(8).describe("Most connections to the server; default 8"),
  connectTimeoutMs: milliseconds
    .default(5_000)
    .describe("Longest wait for a connection, in milliseconds; default 5 seconds"),
  replyTimeoutMs: milliseconds
    .default(5_000)
    .describe(
      "The server gives up a statement that takes longer, locks included; a second later so does the client. In milliseconds; default 5 seconds",
    ),
});

export type PostgresSettings = z.output<typeof postgresSettings>;

import { z } from "zod";
import { milliseconds } from "./milliseconds.ts";
import { secretSetting } from "./secret-setting.ts";
import { tlsSettings } from "./tls-settings.ts";

const server = z
  .string()
  .regex(
    /^(nats:\/\/|tls:\/\/)?(\[[\da-fA-F:.]+\]|[^\s:[\]/@]+)(:\d{1,5})?\/?$/,
    "expected HOST:PORT or nats://HOST:PORT, without user and password",
  );
const megabyte = 1024 ** 2;

/** The settings that every component on NATS has; a component adds its own. */
export const natsSettings = z.strictObject({
  servers: z
    .array(server)
    .min(1)
    .default(["127.0.0.1:4222"])
    .describe("Some servers of the cluster, HOST:PORT each; the others are learned from them. Default 127.0.0.1:4222"),
  username: z.string().min(1).optional().describe("User"),
  password: secretSetting.optional().describe("Password of the user: the text, or secretKeyRef with store and name"),
  token: secretSetting
    .optional()
    .describe("Token, in place of user and password: the text, or secretKeyRef with store and name"),
  nkeySeed: secretSetting
    .optional()
    .describe("Seed of the nkey to sign with (SU...): the text, or secretKeyRef with store and name"),
  credentialsFile: z
    .string()
    .min(1)
    .optional()
    .describe("File with a user's JWT and seed (.creds), read again at every connection"),
  tls: tlsSettings
    .optional()
    .describe("Insist on TLS, with these files; without it TLS is spoken when the server offers it"),
  connectTimeoutMs: milliseconds
    .default(5_000)
    .describe(
      "Longest wait for the server when the component is opened, and for each connection, in milliseconds; default 5 seconds",
    ),
  requestTimeoutMs: milliseconds
    .default(5_000)
    .describe("Longest wait for an answer, in milliseconds; default 5 seconds"),
  pingIntervalMs: milliseconds
    .default(10_000)
    .describe(
      "How often a silent server is asked whether it lives, in milliseconds; one that leaves two unanswered is given up. Default 10 seconds",
    ),
});

export type NatsSettings = z.output<typeof natsSettings>;

/** The settings that every component on JetStream adds. */
export const jetStreamSettings = {
  storage: z
    .enum(["file", "memory"])
    .default("file")
    .describe("Where the server keeps it; default file. What is in memory is gone with the server"),
  replicas: z.int().min(1).max(5).default(1).describe("How many servers of the cluster keep it; default 1"),
};

/** Name of a stream or bucket as the server takes it. */
export const natsName = z.string().regex(/^[\w-]{1,100}$/, "expected at most 100 letters, digits, _ and -");

/** `maxBytes` of a bucket or stream. */
export const natsMaxBytes = z
  .int()
  .min(megabyte)
  .default(1024 * megabyte);

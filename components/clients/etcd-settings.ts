import { z } from "zod";
import { milliseconds } from "./milliseconds.ts";
import { secretSetting } from "./secret-setting.ts";
import { tlsSettings } from "./tls-settings.ts";

const endpoint = z.string().regex(/^(\[[\da-fA-F:.]+\]|[^\s:[\]/@]+):\d{1,5}$/, "expected HOST:PORT");

/** The settings that every component on etcd has; kinds differ in where they keep what is theirs. */
export const etcdSettings = (prefix: string) =>
  z
    .strictObject({
      endpoints: z
        .array(endpoint)
        .min(1)
        .default(["127.0.0.1:2379"])
        .describe(
          "Members of the cluster, HOST:PORT each; default 127.0.0.1:2379. When one does not answer, the next is asked",
        ),
      username: z.string().min(1).optional().describe("User, where the server has authentication enabled"),
      password: secretSetting.optional().describe("Password of the user"),
      tls: tlsSettings.optional().describe("Speak TLS; {} does with the authorities of Node and no certificate"),
      prefix: z
        .string()
        .min(1)
        .default(prefix)
        .describe(`What all keys begin with; default ${prefix}. Components with the same one share what they keep`),
      connectTimeoutMs: milliseconds
        .default(5_000)
        .describe("Longest wait for the server when the component is opened, in milliseconds; default 5 seconds"),
      requestTimeoutMs: milliseconds
        .default(5_000)
        .describe("Longest wait for the answer to a request, in milliseconds; default 5 seconds"),
    })
    .refine(({ username, password }) => (username === undefined) === (password === undefined), {
      message: "give username and password together",
    });

export type EtcdSettings = z.output<ReturnType<typeof etcdSettings>>;

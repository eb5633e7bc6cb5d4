import { z } from "zod";
import { milliseconds } from "../clients/milliseconds.ts";
import { openRedis, type RedisArgument, type RedisConnection } from "../clients/redis.ts";
import { isRefusedAsWhole, redisFailure } from "../clients/redis-failure.ts";
import { redisScript } from "../clients/redis-script.ts";
import { redisSettings } from "../clients/redis-settings.ts";
import type { StreamEntry } from "../clients/redis-stream.ts";
import { joinStream } from "../clients/redis-stream-member.ts";
import { TurnBatch } from "../clients/turn-batch.ts";
import { type CallContext, type ComponentLog, type OpenContext, throwIfAborted } from "../component.ts";
import {
  type Deliver,
  definePubSub,
  type PublishMessage,
  type PubSub,
  type ReceivedMessage,
  type SubscribeTopic,
} from "./pubsub.ts";

/** What goes in one script: while it runs, the server does nothing else. */
const together = { requests: 128, bytes: 256 * 1024 };

/**
 * KEYS has the stream of each message; ARGV begins with the length to trim streams to, empty for none, then for each message data,
 * content type and metadata. Answers with the id of each message, or the text of an error. A stream that no group reads is
 * kept short, since nobody takes anything from it.
 */
const publishAll = redisScript(`
  local unread, results = 10000, {}
  for i, key in ipairs(KEYS) do
    local data, type_, metadata = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
    local added
    if ARGV[1] == '' then
      added = redis.pcall('XADD', key, '*', 'data', data, 'contentType', type_, 'metadata', metadata)
      local length = redis.pcall('XLEN', key)
      if type(length) == 'number' and length > unread and length % 1000 == 0 and #redis.call('XINFO', 'GROUPS', key) == 0 then
        redis.call('XTRIM', key, 'MAXLEN', '~', unread)
      end
    else
      added = redis.pcall('XADD', key, 'MAXLEN', '~', ARGV[1], '*', 'data', data, 'contentType', type_, 'metadata', metadata)
    end
    results[i] = type(added) == 'table' and added.err or added
  end
  return results
`);

const settings = redisSettings.safeExtend({
  streamPrefix: z
    .string()
    .default("")
    .describe("Stands before a topic in the key of its stream; default nothing, as with Dapr and Layotto"),
  first: z
    .enum(["new", "all"])
    .default("new")
    .describe(
      "What a group gets that subscribes for the first time: new, what is published from then on, or all that the stream has; default new",
    ),
  concurrency: z
    .int()
    .positive()
    .max(10_000)
    .default(1)
    .describe(
      "Most deliveries to one subscriber at a time; default 1, so that messages are worked on in publish order. With more, order is not claimed",
    ),
  prefetch: z
    .int()
    .min(0)
    .max(10_000)
    .default(16)
    .describe("Most messages that one subscriber reads ahead of its deliveries; default 16"),
  claimIdleMs: milliseconds
    .min(300)
    .default(10_000)
    .describe(
      "A message whose subscriber has not been heard of for so long is given to another, in milliseconds; default 10 seconds. A slow one is heard of as long as its sidecar lives",
    ),
  maxLen: z
    .int()
    .positive()
    .optional()
    .describe(
      "About the most messages of a topic that are kept: beyond them the oldest go, delivered or not. Default no limit but the server's memory; where nobody has subscribed, about 10,000",
    ),
  deleteAcknowledged: z
    .boolean()
    .default(true)
    .describe("Whether messages go that all groups of a topic have acknowledged; default true"),
});

type Settings = z.output<typeof settings>;

/**
 * Topics as streams of Redis with consumer groups, with the fields of Dapr: data, and metadata as JSON. As durable as the server:
 * with an append-only file it outlasts restarts.
 */
export const redisPubSub = definePubSub({
  type: "redis",
  capabilities: ["ordered", "durable", "redelivery", "shared"],
  capabilitiesWith: ({ concurrency }) =>
    concurrency === 1 ? ["ordered", "durable", "redelivery", "shared"] : ["durable", "redelivery", "shared"],
  config: settings,
  open: async (config, context) => new RedisPubSub(config, context, await openRedis(config, context)),
});

class RedisPubSub implements PubSub {
  readonly #name: string;
  readonly #settings: Settings;
  readonly #log: ComponentLog;
  readonly #connection: RedisConnection;
  readonly #publishing: TurnBatch<PublishMessage, unknown>;
  readonly #subscriptions = new Set<AsyncDisposable>();

  constructor(config: Settings, { name, log }: OpenContext, connection: RedisConnection) {
    this.#name = name;
    this.#settings = config;
    this.#log = log;
    this.#connection = connection;
    this.#publishing = new TurnBatch({
      limit: connection.isCluster ? { ...together, requests: 1 } : together,
      isOfOne: isRefusedAsWhole,
      send: (messages) => this.#send(messages),
    });
  }

  async publish(message: PublishMessage, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const said = String(await this.#publishing.ask(message, message.topic.length + message.data.byteLength));
    if (/^\d/.test(said)) return;
    const error = new Error(said);
    error.name = "ReplyError";
    throw redisFailure(this.#name, error);
  }

  async subscribe({ topic, group }: SubscribeTopic, deliver: Deliver): Promise<AsyncDisposable> {
    const { first, concurrency, prefetch, claimIdleMs, deleteAcknowledged } = this.#settings;
    const member = await joinStream({
      connection: this.#connection,
      log: this.#log,
      key: this.#keyOf(topic),
      group,
      first,
      limits: { concurrency, prefetch, claimIdleMs, deletesAcknowledged: deleteAcknowledged },
      deliver: (entry, signal) => deliver(messageOf(topic, entry), signal),
    });
    this.#subscriptions.add(member);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#subscriptions.delete(member);
        await member[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#subscriptions].map((member) => member[Symbol.asyncDispose]()));
    await this.#publishing.drain();
    await this.#connection[Symbol.asyncDispose]();
  }

  #send(messages: readonly PublishMessage[]): Promise<readonly unknown[]> {
    const keys = messages.map(({ topic }) => this.#keyOf(topic));
    const { maxLen } = this.#settings;
    const fields = messages.flatMap(fieldsOf);
    return this.#connection.run(publishAll, keys, [maxLen === undefined ? "" : String(maxLen), ...fields]);
  }

  #keyOf(topic: string): string {
    return this.#settings.streamPrefix + topic;
  }
}

function fieldsOf({ data, contentType, metadata }: PublishMessage): readonly RedisArgument[] {
  const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return [bytes, contentType, JSON.stringify(metadata)];
}

function messageOf(topic: string, { id, fields }: StreamEntry): ReceivedMessage {
  return {
    id,
    topic,
    data: fields.get("data") ?? Buffer.alloc(0),
    contentType: fields.get("contentType")?.toString() ?? "",
    metadata: metadataOf(fields.get("metadata")),
  };
}

/** Others may write what they like there; only texts are metadata. */
function metadataOf(json: Buffer | undefined): Record<string, string> {
  try {
    const parsed: unknown = JSON.parse(json?.toString() ?? "{}");
    const entries = typeof parsed === "object" && parsed !== null ? Object.entries(parsed) : [];
    return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
  } catch {
    return {};
  }
}

import { z } from "zod";
import { milliseconds } from "../clients/milliseconds.ts";
import { openRedis, type RedisConnection } from "../clients/redis.ts";
import { redisSettings } from "../clients/redis-settings.ts";
import type { StreamEntry } from "../clients/redis-stream.ts";
import { joinStream } from "../clients/redis-stream-member.ts";
import { type CallContext, type OpenContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import {
  type Binding,
  type BindingEvent,
  type BindingResponse,
  type DeliverBindingEvent,
  defineBinding,
  type InvokeBinding,
} from "./binding.ts";

const settings = redisSettings.safeExtend({
  prefix: z.string().default("").describe("Stands before the keys of all operations; default nothing"),
  stream: z.string().min(1).optional().describe("Key of a stream whose entries come in; without it none come in"),
  group: z
    .string()
    .min(1)
    .default("outrigger")
    .describe("The consumer group that reads the stream; those with the same share its entries. Default outrigger"),
  concurrency: z
    .int()
    .positive()
    .max(1_000)
    .default(1)
    .describe("Most entries that are worked on at a time; default 1, in their order"),
  claimIdleMs: milliseconds
    .min(300)
    .default(10_000)
    .describe(
      "An entry whose reader has not been heard of for so long is given to another, in milliseconds; default 10 seconds",
    ),
});

type Settings = z.output<typeof settings>;

/** Plain values of Redis by key, with the operations of Dapr's binding, and the entries of a stream as events. */
export const redisBinding = defineBinding({
  type: "redis",
  capabilities: ["input", "output", "redelivery"],
  capabilitiesWith: ({ stream }) => (stream === undefined ? ["output"] : ["input", "output", "redelivery"]),
  config: settings,
  open: async (config, context) => {
    const values = new RedisValues(config, context, await openRedis(config, context));
    const { stream } = config;
    if (stream === undefined) return values;
    return Object.assign(values, { listen: (deliver: DeliverBindingEvent) => values.listenTo(stream, deliver) });
  },
});

const operations = ["create", "delete", "get", "increment"] as const;
const empty = new Uint8Array(0);

class RedisValues implements Binding {
  readonly operations = operations;
  readonly #settings: Settings;
  readonly #context: OpenContext;
  readonly #connection: RedisConnection;
  readonly #listening = new Set<AsyncDisposable>();

  constructor(config: Settings, context: OpenContext, connection: RedisConnection) {
    this.#settings = config;
    this.#context = context;
    this.#connection = connection;
  }

  async invoke({ operation, data, metadata }: InvokeBinding, call: CallContext): Promise<BindingResponse> {
    throwIfAborted(call);
    const key = this.#keyOf(operation, metadata);
    const seconds = this.#secondsOf(metadata);
    switch (operation) {
      case "create": {
        const life = seconds === undefined ? [] : ["EX", seconds];
        await this.#connection.command("set", key, Buffer.from(data), ...life);
        return { data: empty, metadata: {} };
      }
      case "delete":
        await this.#connection.command("del", key);
        return { data: empty, metadata: {} };
      case "get": {
        const value = await this.#connection.command("get", key);
        return { data: Buffer.isBuffer(value) ? value : empty, metadata: { found: String(value !== null) } };
      }
      case "increment": {
        const value = await this.#connection.command("incr", key);
        if (seconds !== undefined) await this.#connection.command("expire", key, seconds);
        return { data: Buffer.from(String(value)), metadata: {} };
      }
      default:
        throw new RangeError(`'${operation}' is no operation of a binding to Redis`);
    }
  }

  async listenTo(stream: string, deliver: DeliverBindingEvent): Promise<AsyncDisposable> {
    const { group, concurrency, claimIdleMs } = this.#settings;
    const member = await joinStream({
      connection: this.#connection,
      log: this.#context.log,
      key: stream,
      group,
      first: "new",
      limits: { concurrency, prefetch: concurrency, claimIdleMs, deletesAcknowledged: false },
      deliver: (entry, signal) => deliver(eventOf(entry), signal),
    });
    this.#listening.add(member);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#listening.delete(member);
        await member[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#listening].map((member) => member[Symbol.asyncDispose]()));
    await this.#connection[Symbol.asyncDispose]();
  }

  #keyOf(operation: string, { key }: Readonly<Record<string, string>>): string {
    if (key !== undefined && key !== "") return this.#settings.prefix + key;
    throw this.#invalid("BINDING_KEY_MISSING", `operation '${operation}' needs the metadata 'key'`);
  }

  #secondsOf({ ttlInSeconds }: Readonly<Record<string, string>>): string | undefined {
    if (ttlInSeconds === undefined || ttlInSeconds === "") return undefined;
    if (/^[1-9]\d{0,9}$/.test(ttlInSeconds)) return ttlInSeconds;
    throw this.#invalid("INVALID_TTL", `ttlInSeconds is '${ttlInSeconds}'; expected a whole number of seconds above 0`);
  }

  #invalid(reason: string, what: string): RuntimeError {
    return new RuntimeError("INVALID_ARGUMENT", reason, `binding '${this.#context.name}': ${what}`);
  }
}

/** The field `data` is the event's; the others, and the entry's id, are its metadata. */
function eventOf({ id, fields }: StreamEntry): BindingEvent {
  const metadata = Object.fromEntries([...fields].map(([name, value]) => [name, value.toString()]));
  const { data: _, ...others } = metadata;
  return { data: fields.get("data") ?? empty, metadata: { ...others, id } };
}

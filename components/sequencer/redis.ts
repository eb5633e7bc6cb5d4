import { openRedis, type RedisConnection } from "../clients/redis.ts";
import { redisScript } from "../clients/redis-script.ts";
import { redisSettings } from "../clients/redis-settings.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { sequenceExhausted } from "./exhausted.ts";
import { defineSequencer, type ReserveIds, type Sequencer } from "./sequencer.ts";

/** Read back as text, because a number of Lua does not hold every id. Nothing comes when the sum would be too large. */
const reserve = redisScript(`
  local failed = redis.pcall('INCRBY', KEYS[1], ARGV[1])
  if type(failed) == 'table' and failed.err then
    if string.find(failed.err, 'would overflow', 1, true) then return {} end
    return failed
  end
  return { redis.call('GET', KEYS[1]) }
`);

/**
 * Sequences as counters in Redis. They are as durable as the server: without an append-only file a restart, and with replicas a
 * failover, may take back the last steps of a counter and so give ids twice.
 */
export const redisSequencer = defineSequencer({
  type: "redis",
  capabilities: ["durable", "consecutive", "shared"],
  config: redisSettings,
  open: async (settings, context) => new RedisSequencer(context.name, await openRedis(settings, context)),
});

class RedisSequencer implements Sequencer {
  readonly #name: string;
  readonly #connection: RedisConnection;

  constructor(name: string, connection: RedisConnection) {
    this.#name = name;
    this.#connection = connection;
  }

  async reserve({ key, count }: ReserveIds, call: CallContext): Promise<bigint> {
    throwIfAborted(call);
    const [last] = await this.#connection.run(reserve, [key], [String(count)]);
    if (last === undefined) throw sequenceExhausted(this.#name, key);
    return BigInt(String(last)) - BigInt(count) + 1n;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection[Symbol.asyncDispose]();
  }
}

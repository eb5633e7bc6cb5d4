import { openRedis, type RedisConnection } from "../clients/redis.ts";
import { redisScript } from "../clients/redis-script.ts";
import { redisSettings } from "../clients/redis-settings.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { defineLockStore, type LockOutcome, type LockStore, type TryLock, type Unlock } from "./lock-store.ts";

/** Answers whether the lock is the owner's; if it is, ends it, or makes it end after ARGV[2] milliseconds. */
const compare = (then: string) =>
  redisScript(`
    local holder = redis.call('GET', KEYS[1])
    if not holder then return { 'not-locked' } end
    if holder ~= ARGV[1] then return { 'owned-by-other' } end
    ${then}
    return { 'success' }
  `);
const release = compare("redis.call('DEL', KEYS[1])");
const extend = compare("redis.call('PEXPIRE', KEYS[1], ARGV[2])");

/**
 * Locks as strings with a life in Redis: the resource is the key, its holder the value, as Dapr and Layotto keep them. A lock
 * is as safe as the server: one that fails over to a replica may forget a lock that it gave a moment ago.
 */
export const redisLockStore = defineLockStore({
  type: "redis",
  capabilities: ["durable", "shared"],
  config: redisSettings,
  open: async (settings, context) => new RedisLockStore(context.name, await openRedis(settings, context)),
});

class RedisLockStore implements LockStore {
  readonly #name: string;
  readonly #connection: RedisConnection;

  constructor(name: string, connection: RedisConnection) {
    this.#name = name;
    this.#connection = connection;
  }

  async tryLock({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<boolean> {
    throwIfAborted(call);
    const reply = await this.#connection.command("set", resource, owner, "NX", "PX", wholeMs(leaseMs));
    return reply !== null;
  }

  async unlock({ resource, owner }: Unlock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    return this.#outcomeOf(await this.#connection.run(release, [resource], [owner]));
  }

  async renew({ resource, owner, leaseMs }: TryLock, call: CallContext): Promise<LockOutcome> {
    throwIfAborted(call);
    return this.#outcomeOf(await this.#connection.run(extend, [resource], [owner, wholeMs(leaseMs)]));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection[Symbol.asyncDispose]();
  }

  #outcomeOf([said]: readonly unknown[]): LockOutcome {
    const outcome = String(said);
    if (outcome === "success" || outcome === "not-locked" || outcome === "owned-by-other") return outcome;
    throw new RuntimeError(
      "INTERNAL",
      "REDIS_FAILED",
      `the Redis of '${this.#name}' answered '${outcome}' about a lock`,
    );
  }
}

/** Redis takes whole milliseconds, and not none of them. */
const wholeMs = (leaseMs: number): string => String(Math.max(1, Math.round(leaseMs)));

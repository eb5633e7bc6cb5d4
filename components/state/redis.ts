import { openRedis, type RedisArgument, type RedisConnection } from "../clients/redis.ts";
import { isRefusedAsWhole, redisFailure } from "../clients/redis-failure.ts";
import { redisSettings } from "../clients/redis-settings.ts";
import { TurnBatch } from "../clients/turn-batch.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import type { RuntimeError } from "../error.ts";
import { etagMismatch, expectedEtag } from "./etag.ts";
import { readStates, writeStates } from "./redis-scripts.ts";
import {
  type DeleteState,
  defineStateStore,
  type GetState,
  type SetState,
  type StateEntry,
  type StateOperation,
  type StateStore,
} from "./state-store.ts";

/** What goes in one script: while it runs, the server does nothing else. */
const together = { requests: 128, bytes: 256 * 1024 };

/** State on a Redis server, in the layout of Dapr and Layotto: a hash with the fields data and version. */
export const redisStateStore = defineStateStore({
  type: "redis",
  capabilities: ["transactions", "ttl", "durable", "shared"],
  config: redisSettings,
  open: async (settings, context) => new RedisStateStore(context.name, await openRedis(settings, context)),
});

class RedisStateStore implements StateStore {
  readonly #name: string;
  readonly #connection: RedisConnection;
  readonly #reads: TurnBatch<string, unknown>;
  readonly #writes: TurnBatch<StateOperation, unknown>;

  constructor(name: string, connection: RedisConnection) {
    this.#name = name;
    this.#connection = connection;
    const limit = connection.isCluster ? { ...together, requests: 1 } : together;
    this.#reads = new TurnBatch({
      limit,
      isOfOne: isRefusedAsWhole,
      send: (keys) => connection.run(readStates, keys, []),
    });
    this.#writes = new TurnBatch({
      limit,
      isOfOne: isRefusedAsWhole,
      send: (operations) => this.#write("each", operations),
    });
  }

  async get({ key }: GetState, call: CallContext): Promise<StateEntry | undefined> {
    throwIfAborted(call);
    const found = await this.#reads.ask(key, key.length);
    if (found === null) return undefined;
    if (!Array.isArray(found)) throw this.#failed(found);
    const [value, etag, lifeMs]: unknown[] = found;
    if (!Buffer.isBuffer(value)) throw this.#failed(value);
    const entry = { key, value, etag: String(etag) };
    return typeof lifeMs === "number" && lifeMs >= 0 ? { ...entry, expiresAtMs: Date.now() + lifeMs } : entry;
  }

  async set(set: SetState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const result = await this.#writes.ask({ operation: "set", set }, set.key.length + set.value.length);
    this.#check(result, set);
  }

  async delete(request: DeleteState, call: CallContext): Promise<void> {
    throwIfAborted(call);
    const result = await this.#writes.ask({ operation: "delete", delete: request }, request.key.length);
    this.#check(result, request);
  }

  async transact(operations: readonly StateOperation[], call: CallContext): Promise<void> {
    throwIfAborted(call);
    if (operations.length === 0) return;
    const results = await this.#write("all", operations);
    for (const [index, operation] of operations.entries()) this.#check(results[index], writeOf(operation));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#reads.drain(), this.#writes.drain()]);
    await this.#connection[Symbol.asyncDispose]();
  }

  #write(mode: "each" | "all", operations: readonly StateOperation[]): Promise<readonly unknown[]> {
    const keys = operations.map((operation) => writeOf(operation).key);
    return this.#connection.run(writeStates, keys, [mode, ...operations.flatMap(argumentsOf)]);
  }

  /** Throws what the script says of a write, unless that is nothing. */
  #check(result: unknown, write: SetState | DeleteState): void {
    const said = String(result);
    if (said === "") return;
    throw said === "etag" ? etagMismatch(this.#name, write) : this.#failed(result);
  }

  #failed(said: unknown): RuntimeError {
    const error = new Error(String(said));
    error.name = "ReplyError";
    return redisFailure(this.#name, error);
  }
}

const writeOf = (operation: StateOperation): SetState | DeleteState =>
  operation.operation === "set" ? operation.set : operation.delete;

function argumentsOf(operation: StateOperation): readonly RedisArgument[] {
  const etag = expectedEtag(writeOf(operation)) ?? "";
  if (operation.operation === "delete") return ["delete", etag, "", ""];
  const { value, ttlMs, concurrency } = operation.set;
  const kind = concurrency === "first-write" ? "first" : "set";
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return [kind, etag, ttlMs === undefined ? "" : String(ttlMs), bytes];
}

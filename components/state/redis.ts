import { openRedis, type RedisArgument, type RedisConnection } from "../clients/redis.ts";
import { isRefusedAsWhole, redisFailure } from "../clients/redis-failure.ts";
import { redisSettings } from "../clients/redis-settings.ts";
import { TurnBatch } from "../clients/turn-batch.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { etagMismatch, expectedEtag } from "./etag.ts";
import { cursorUnknown, keyOfBytes } from "./key-cursor.ts";
import { areStates, readStates, writeStates } from "./redis-scripts.ts";
import {
  type DeleteState,
  defineStateStore,
  type GetState,
  type KeyPage,
  type ListKeys,
  type SetState,
  type StateEntry,
  type StateOperation,
  type StateStore,
} from "./state-store.ts";

/** What goes in one script: while it runs, the server does nothing else. */
const together = { requests: 128, bytes: 256 * 1024 };

/** A cluster has its keys on many servers, and no way through all of them while they change. */
const ofCluster = ["transactions", "ttl", "durable", "shared"] as const;
/** What the server looks at for one page, and for one command of it, however few keys of it come on the page. */
const looks = { ofPage: 10_000, atOnce: 1_000 };

/** State on a Redis server, in the layout of Dapr and Layotto: a hash with the fields data and version. */
export const redisStateStore = defineStateStore({
  type: "redis",
  capabilities: ["transactions", "keys", "ttl", "durable", "shared"],
  config: redisSettings,
  capabilitiesWith: ({ cluster }) => (cluster === undefined ? [...ofCluster, "keys"] : ofCluster),
  open: async (settings, context) => new RedisStateStore(context.name, await openRedis(settings, context)),
});

class RedisStateStore implements StateStore {
  readonly #name: string;
  readonly #connection: RedisConnection;
  readonly #reads: TurnBatch<string, unknown>;
  readonly #writes: TurnBatch<StateOperation, unknown>;
  readonly keys?: (request: ListKeys, call: CallContext) => Promise<KeyPage>;

  constructor(name: string, connection: RedisConnection) {
    this.#name = name;
    this.#connection = connection;
    if (!connection.isCluster) this.keys = (request, call) => this.#keys(request, call);
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

  /** By SCAN, which may give a key again when the server moves it. */
  async #keys({ prefix, cursor, limit }: ListKeys, call: CallContext): Promise<KeyPage> {
    throwIfAborted(call);
    const { era } = this.#connection;
    const pattern = `${prefix.replace(/[*?[\]\\]/g, "\\$&")}*`;
    const keys = new Set<string>();
    let at = cursor === undefined ? "0" : this.#placeOf(cursor);
    let count = limit;
    for (let looked = 0; looked < looks.ofPage; looked += count) {
      const reply = await this.#connection.command("scan", at, "MATCH", pattern, "COUNT", String(count));
      const [next, names]: unknown[] = Array.isArray(reply) ? reply : [];
      if (!Array.isArray(names)) throw this.#failed(reply);
      at = String(next);
      const before = keys.size;
      for (const key of await this.#ofStates(names)) keys.add(key);
      call.signal.throwIfAborted();
      if (at === "0" || keys.size >= limit) break;
      count = keys.size === before ? Math.min(2 * count, looks.atOnce) : limit - keys.size;
    }
    if (this.#connection.era !== era) throw this.#interrupted();
    return { keys: [...keys], cursor: at === "0" ? undefined : `${era}.${at}` };
  }

  /** The keys under which state lies, and not what others keep on the server. */
  async #ofStates(names: readonly unknown[]): Promise<readonly string[]> {
    const keys = names.flatMap((name) => (Buffer.isBuffer(name) ? [name] : []));
    if (keys.length === 0) return [];
    const kinds = await this.#connection.run(areStates, keys, []);
    return keys.flatMap((key, index) => (kinds[index] === 1 ? (keyOfBytes(key) ?? []) : []));
  }

  /** Where the server goes on; only the one that gave it knows, and only until it is started again. */
  #placeOf(cursor: string): string {
    const [, era, at] = /^([\w-]+)\.(\d{1,20})$/.exec(cursor) ?? [];
    if (at === undefined) throw cursorUnknown(this.#name, cursor);
    if (era !== this.#connection.era) throw this.#interrupted();
    return at;
  }

  #interrupted(): RuntimeError {
    const message = `the connection to the Redis of '${this.#name}' was lost since the listing of keys began; begin it again`;
    return new RuntimeError("ABORTED", "LISTING_INTERRUPTED", message);
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

import type { Cluster, Command, Redis } from "ioredis";
import type { ComponentLog, OpenContext, Reachability } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { onceReady } from "./once-ready.ts";
import { quitMs, type RedisPlace, redisClient, redisPlace } from "./redis-client.ts";
import { isUnsent, messageOf, redisFailure, redisRefusal } from "./redis-failure.ts";
import type { RedisScript } from "./redis-script.ts";
import type { RedisSettings } from "./redis-settings.ts";

/** What an argument of a command may be; replies have Buffers for text. */
export type RedisArgument = string | Buffer;

/**
 * Connects to the server, the cluster or the primary. Rejects with a sentence that names the component and what is wrong:
 * UNAVAILABLE when nothing answers in time, another code when it answers that user or settings are refused.
 */
export async function openRedis(settings: RedisSettings, context: OpenContext): Promise<RedisConnection> {
  const place = await redisPlace(settings, context);
  // Loaded here, so that only a sidecar with a component on Redis loads it.
  const ioredis = await import("ioredis");
  const connection = new RedisConnection(ioredis, place, context);
  return onceReady(connection, connection.ready(settings.connectTimeoutMs));
}

type Ioredis = Pick<typeof import("ioredis"), "Redis" | "Cluster" | "Command">;

/**
 * A connection that comes back by itself when it is lost. What was sent on a lost connection fails, and so does what is asked
 * for before there is a new one: nothing is kept for later, and nothing is sent twice (a cluster's client may do so).
 */
export class RedisConnection implements AsyncDisposable {
  readonly #ioredis: Ioredis;
  readonly #place: RedisPlace;
  readonly #client: Redis | Cluster;
  /** Made by us, since the client's own way to make one takes as long as sending it. */
  readonly #Command: typeof Command;
  readonly #name: string;
  readonly #log: ComponentLog;
  readonly #reachability: Reachability;
  /** Ends connections that are dead without a word. It counts instead of asking the clock for every command. */
  readonly #watch: NodeJS.Timeout;
  #ticks = 0;
  #heardAtTick = 0;
  #awaited = 0;
  #lastError = "nothing answers";
  #isLost = false;
  /** Of this connection among all there ever are, and how often it was made. */
  readonly #id = Math.random().toString(36).slice(2, 10);
  #made = 0;

  constructor(ioredis: Ioredis, place: RedisPlace, { log, reachability }: Pick<OpenContext, "log" | "reachability">) {
    const client = redisClient(ioredis, place);
    this.#ioredis = ioredis;
    this.#place = place;
    this.#client = client;
    this.#Command = ioredis.Command;
    this.#name = place.name;
    this.#log = log;
    this.#reachability = reachability;
    this.#watch = setInterval(() => this.#tick(), Math.ceil(place.settings.replyTimeoutMs / 2)).unref();
    client.on("error", (error: unknown) => {
      if (!isUnsent(error)) this.#lastError = messageOf(error);
      this.#lost();
    });
    client.on("close", () => this.#lost());
    client.on("ready", () => this.#found());
  }

  /** Whether keys lie on several servers, so that only those of one slot can be in one command. */
  get isCluster(): boolean {
    return this.#client.isCluster;
  }

  /** Changes when the connection is made anew, and so perhaps to another server or one that was started again. */
  get era(): string {
    return `${this.#id}-${this.#made}`;
  }

  /** Longest that a command may block at the server: half of what counts as silence, in milliseconds. */
  get blockMs(): number {
    return Math.floor(this.#place.settings.replyTimeoutMs / 2);
  }

  /** Resolves once commands can be sent; rejects when that takes too long or is refused. */
  async ready(timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      const message = `the Redis of '${this.#name}' cannot be reached: ${this.#lastError}`;
      reject(new RuntimeError("UNAVAILABLE", "REDIS_UNREACHABLE", message));
    }, timeoutMs);
    const failIfRefused = (error: unknown): void => {
      const refusal = redisRefusal(this.#name, error);
      if (refusal !== undefined) reject(refusal);
    };
    this.#client.once("ready", resolve);
    this.#client.on("error", failIfRefused);
    // It rejects at the first attempt that fails; there are more until the time is up.
    this.#client.connect().catch(failIfRefused);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#client.off("ready", resolve);
      this.#client.off("error", failIfRefused);
    }
  }

  /** Another connection to the same place, for commands that block; it connects when there is something to connect to. */
  another(): RedisConnection {
    const quiet = { down: () => undefined, up: () => undefined };
    const log = { ...silent, debug: this.#log.debug.bind(this.#log) };
    const connection = new RedisConnection(this.#ioredis, this.#place, { log, reachability: quiet });
    connection.#client.connect().catch(() => undefined);
    return connection;
  }

  /** Runs a script that answers with a list, giving its text when the server does not know it. Rejects with RuntimeError. */
  run(
    script: RedisScript,
    keys: readonly RedisArgument[],
    rest: readonly RedisArgument[],
  ): Promise<readonly unknown[]> {
    const parameters = [script.digest, String(keys.length), ...keys, ...rest];
    return this.#call("evalsha", parameters).then(this.#listed, (error: unknown) => {
      if (!messageOf(error).startsWith("NOSCRIPT")) throw this.#failed(error);
      this.#heard();
      parameters[0] = script.lua;
      return this.#call("eval", parameters).then(this.#listed, (again: unknown) => {
        throw this.#failed(again);
      });
    });
  }

  /** Sends one command; on a cluster to where its key lies. Rejects with RuntimeError. */
  async command(name: string, ...parameters: RedisArgument[]): Promise<unknown> {
    try {
      const reply = await this.#call(name, parameters);
      this.#heard();
      return reply;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Ends the connection at once; what is in flight on it fails. */
  disconnect(): void {
    clearInterval(this.#watch);
    this.#client.removeAllListeners("close");
    this.#client.disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watch);
    this.#client.removeAllListeners("close");
    if (this.#client.status === "ready") {
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, quitMs);
      await Promise.race([this.#client.quit().catch(() => undefined), late]);
      clearTimeout(timer);
    }
    this.#client.disconnect();
  }

  #call(command: string, parameters: RedisArgument[]): Promise<unknown> {
    if (this.#awaited++ === 0) this.#heardAtTick = this.#ticks;
    const sent = new this.#Command(command, parameters, { replyEncoding: null });
    this.#client.sendCommand(sent);
    return sent.promise;
  }

  readonly #listed = (reply: unknown): readonly unknown[] => {
    this.#heard();
    if (Array.isArray(reply)) return reply;
    throw new RuntimeError("INTERNAL", "REDIS_FAILED", `the Redis of '${this.#name}' answered a script with no list`);
  };

  #failed(error: unknown): RuntimeError {
    this.#heard();
    return redisFailure(this.#name, error, this.#isLost ? this.#lastError : undefined);
  }

  #heard(): void {
    this.#awaited--;
    this.#heardAtTick = this.#ticks;
  }

  #tick(): void {
    this.#ticks++;
    if (this.#awaited === 0 || this.#ticks - this.#heardAtTick <= 2) return;
    this.#heardAtTick = this.#ticks;
    this.#lastError = "replies are due for too long";
    this.#client.disconnect(true);
  }

  /** Told once for each time that the connection is lost. */
  #lost(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const why = this.#lastError;
    this.#reachability.down(why);
    this.#log.warn({ why }, `the Redis of '${this.#name}' cannot be reached; it is tried again`);
  }

  #found(): void {
    this.#made++;
    if (this.#isLost) {
      this.#reachability.up();
      this.#log.info({}, `the Redis of '${this.#name}' is back`);
    }
    this.#isLost = false;
    // What is said of a loss that no error comes with.
    this.#lastError = "the connection was closed";
  }
}

const nothing = (): void => undefined;
const silent: ComponentLog = { debug: nothing, info: nothing, warn: nothing, error: nothing };

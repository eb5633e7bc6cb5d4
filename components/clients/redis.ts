import { readFile } from "node:fs/promises";
import type { Cluster, Command, Redis, RedisOptions } from "ioredis";
import type { ComponentLog } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { messageOf, redisFailure } from "./redis-failure.ts";
import type { RedisScript } from "./redis-script.ts";
import type { RedisSettings } from "./redis-settings.ts";

const longestRetryDelayMs = 2_000;
/** Longest wait for the farewell of a server when the connection is closed. */
const quitMs = 1_000;

/** What an argument of a command may be; replies have Buffers for text. */
export type RedisArgument = string | Buffer;

/** Connects to the server, the cluster or the primary; rejects with a sentence that names the component and what is wrong. */
export async function openRedis(
  settings: RedisSettings,
  { name, log }: { readonly name: string; readonly log: ComponentLog },
): Promise<RedisConnection> {
  // Loaded here, so that only a sidecar with a component on Redis loads it.
  const ioredis = await import("ioredis");
  const client = await clientOf(ioredis, settings, name);
  const connection = new RedisConnection(client, ioredis.Command, {
    name,
    log,
    replyTimeoutMs: settings.replyTimeoutMs,
  });
  try {
    await connection.ready(settings.connectTimeoutMs);
    return connection;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

export interface RedisConnectionOptions {
  readonly name: string;
  readonly log: ComponentLog;
  readonly replyTimeoutMs: number;
}

/**
 * A connection that comes back by itself when it is lost. What was sent on a lost connection fails, and so does what is asked
 * for before there is a new one: nothing is kept for later, and nothing is sent twice (a cluster's client may do so).
 */
export class RedisConnection implements AsyncDisposable {
  readonly #client: Redis | Cluster;
  /** Made by us, since the client's own way to make one takes as long as sending it. */
  readonly #Command: typeof Command;
  readonly #name: string;
  /** Ends connections that are dead without a word. It counts instead of asking the clock for every command. */
  readonly #watch: NodeJS.Timeout;
  #ticks = 0;
  #heardAtTick = 0;
  #awaited = 0;
  #lastError = "nothing answers";
  #isLost = false;

  constructor(client: Redis | Cluster, command: typeof Command, { name, log, replyTimeoutMs }: RedisConnectionOptions) {
    this.#client = client;
    this.#Command = command;
    this.#name = name;
    this.#watch = setInterval(() => this.#tick(), Math.ceil(replyTimeoutMs / 2)).unref();
    client.on("error", (error: unknown) => {
      this.#lastError = messageOf(error);
      this.#told(log, this.#lastError);
    });
    client.on("close", () => this.#told(log, this.#lastError));
    client.on("ready", () => {
      if (this.#isLost) log.info({}, `the Redis of '${name}' is back`);
      this.#isLost = false;
      // What is said of a loss that no error comes with.
      this.#lastError = "the connection was closed";
    });
  }

  /** Whether keys lie on several servers, so that only those of one slot can be in one command. */
  get isCluster(): boolean {
    return this.#client.isCluster;
  }

  /** Resolves once commands can be sent; rejects when that takes too long or cannot come. */
  async ready(timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (): void => {
      const message = `the Redis of '${this.#name}' cannot be reached: ${this.#lastError}`;
      reject(new RuntimeError("UNAVAILABLE", "REDIS_UNREACHABLE", message));
    };
    const failIfFinal = (error: unknown): void => {
      if (/^(NOAUTH|WRONGPASS|NOPERM|ERR)/.test(messageOf(error))) fail();
    };
    const timer = setTimeout(fail, timeoutMs);
    this.#client.once("ready", resolve);
    this.#client.on("error", failIfFinal);
    // It rejects at the first attempt that fails; there are more until the time is up.
    this.#client.connect().catch(() => undefined);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#client.off("ready", resolve);
      this.#client.off("error", failIfFinal);
    }
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

  /** Once for each time that the connection is lost. */
  #told(log: ComponentLog, why: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    log.warn({ why }, `the Redis of '${this.#name}' cannot be reached; it is tried again`);
  }
}

async function clientOf(
  { Redis, Cluster }: Pick<typeof import("ioredis"), "Redis" | "Cluster">,
  settings: RedisSettings,
  name: string,
): Promise<Redis | Cluster> {
  const { url, cluster, sentinel, connectTimeoutMs } = settings;
  const shared = await optionsOf(settings, name);
  const retryStrategy = (times: number): number => Math.min(longestRetryDelayMs, 50 * 2 ** Math.min(times, 10));
  const alone = { ...shared, lazyConnect: true, enableOfflineQueue: false, retryStrategy };
  if (cluster !== undefined) {
    return new Cluster(cluster.map(addressOf), {
      redisOptions: shared,
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryStrategy,
      slotsRefreshTimeout: connectTimeoutMs,
      // Certificates are made for names; the cluster tells addresses.
      ...(shared.tls === undefined ? {} : { dnsLookup: (address, callback) => callback(null, address) }),
    });
  }
  if (sentinel !== undefined) {
    const { master, nodes, username, password } = sentinel;
    return new Redis({
      ...alone,
      sentinels: nodes.map(addressOf),
      name: master,
      failoverDetector: true,
      sentinelRetryStrategy: retryStrategy,
      ...(username === undefined ? {} : { sentinelUsername: username }),
      ...(password === undefined ? {} : { sentinelPassword: password }),
      ...(shared.tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: shared.tls }),
    });
  }
  return new Redis({ ...alone, ...serverOf(url), ...shared });
}

async function optionsOf(settings: RedisSettings, name: string) {
  const { url, username, password, passwordFile, db, tls, connectTimeoutMs } = settings;
  const secret = passwordFile === undefined ? password : (await readFile(passwordFile, "utf8")).trim();
  const speaksTls = tls !== undefined || url?.startsWith("rediss:") === true;
  return {
    // The older protocol is read faster, and has all that is used here.
    protocol: 2 as const,
    connectionName: `outrigger:${name}`,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: quitMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(username === undefined ? {} : { username }),
    ...(secret === undefined ? {} : { password: secret }),
    ...(db === undefined ? {} : { db }),
    ...(speaksTls ? { tls: await tlsOf(tls) } : {}),
  };
}

async function tlsOf(tls: RedisSettings["tls"]): Promise<NonNullable<RedisOptions["tls"]>> {
  const { ca, cert, key, serverName } = tls ?? {};
  return {
    ...(ca === undefined ? {} : { ca: await readFile(ca) }),
    ...(cert === undefined ? {} : { cert: await readFile(cert) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** What a URL says of the server and of who comes. */
function serverOf(url = "redis://127.0.0.1:6379") {
  if (url.startsWith("unix:")) return { path: url.slice("unix:".length) };
  const { hostname, port, username, password, pathname } = new URL(url);
  const db = pathname.slice(1);
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || 6379),
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    ...(/^\d+$/.test(db) ? { db: Number(db) } : {}),
  };
}

function addressOf(endpoint: string): { host: string; port: number } {
  const colon = endpoint.lastIndexOf(":");
  return { host: endpoint.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(endpoint.slice(colon + 1)) };
}

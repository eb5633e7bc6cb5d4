import type { Cluster, Redis, RedisOptions } from "ioredis";
import type { OpenContext } from "../component.ts";
import { backOffMs } from "./back-off.ts";
import type { RedisSettings } from "./redis-settings.ts";
import { type TlsFiles, tlsFilesOf } from "./tls-settings.ts";

/** Longest wait for the farewell of a server when the connection is closed. */
export const quitMs = 1_000;

/** The settings with the secrets and the files that they name: what a client is made of, as often as one is needed. */
export interface RedisPlace {
  readonly settings: RedisSettings;
  readonly name: string;
  readonly password: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly tls: TlsFiles | undefined;
}

/** Reads what the settings refer to; rejects with a sentence when it is not there. */
export async function redisPlace(settings: RedisSettings, context: OpenContext): Promise<RedisPlace> {
  const { url, tls, password, sentinel } = settings;
  const { name } = context;
  const speaksTls = tls !== undefined || url?.startsWith("rediss:") === true;
  return {
    settings,
    name,
    password: password === undefined ? undefined : await context.secret(password),
    sentinelPassword: sentinel?.password === undefined ? undefined : await context.secret(sentinel.password),
    tls: speaksTls ? await tlsFilesOf(tls ?? {}, `the Redis of '${name}'`) : undefined,
  };
}

/** A client that has not connected yet, and then comes back by itself whenever it is lost. */
export function redisClient(
  { Redis, Cluster }: Pick<typeof import("ioredis"), "Redis" | "Cluster">,
  place: RedisPlace,
): Redis | Cluster {
  const { url, cluster, sentinel, connectTimeoutMs } = place.settings;
  const shared = optionsOf(place);
  const retryStrategy = (times: number): number => backOffMs(times);
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
    const { master, nodes, username } = sentinel;
    return new Redis({
      ...alone,
      sentinels: nodes.map(addressOf),
      name: master,
      failoverDetector: true,
      sentinelRetryStrategy: retryStrategy,
      ...(username === undefined ? {} : { sentinelUsername: username }),
      ...(place.sentinelPassword === undefined ? {} : { sentinelPassword: place.sentinelPassword }),
      ...(shared.tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: shared.tls }),
    });
  }
  return new Redis({ ...alone, ...serverOf(url), ...shared });
}

function optionsOf({ settings, name, password, tls }: RedisPlace) {
  const { username, db, connectTimeoutMs } = settings;
  return {
    // The older protocol is read faster, and has all that is used here.
    protocol: 2 as const,
    connectionName: `outrigger:${name}`,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: quitMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(db === undefined ? {} : { db }),
    ...(tls === undefined ? {} : { tls: tls satisfies NonNullable<RedisOptions["tls"]> }),
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

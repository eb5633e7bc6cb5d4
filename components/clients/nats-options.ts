import { checkServerIdentity } from "node:tls";
import type { ConnectionOptions } from "nats";
import type { OpenContext } from "../component.ts";
import { natsAuthenticator } from "./nats-authenticator.ts";
import type { NatsSettings } from "./nats-settings.ts";
import { tlsFilesOf } from "./tls-settings.ts";

/** What the client is told of the settings. Rejects with RuntimeError when they are contradictory or a file cannot be read. */
export async function natsOptions(
  nats: typeof import("nats"),
  settings: NatsSettings,
  { name, secret }: OpenContext,
  closing: AbortSignal,
): Promise<ConnectionOptions> {
  const { servers, connectTimeoutMs, pingIntervalMs } = settings;
  return {
    servers: servers.map((server) => server.replace(/^\w+:\/\/|\/$/g, "")),
    name: `outrigger:${name}`,
    timeout: connectTimeoutMs,
    pingInterval: pingIntervalMs,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    // Credentials that are refused today are tried again, too: they may have been corrected on the server.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    authenticator: await natsAuthenticator(nats, settings, { name, secret, closing }),
    ...(settings.tls === undefined ? {} : { tls: await tlsOf(settings, name) }),
  };
}

async function tlsOf({ tls = {}, servers }: NatsSettings, name: string) {
  const files = await tlsFilesOf(tls, `the NATS of '${name}'`);
  const hosts = servers.map((server) => server.replace(/^\w+:\/\/|(:\d+)?\/?$/g, "").replace(/^\[|\]$/g, ""));
  const texts = Object.entries(files).map(([field, value]) => [field, String(value)]);
  return {
    ...Object.fromEntries(texts),
    // For a server that is an address, the client hands on no name, and Node would have the certificate be for localhost.
    checkServerIdentity: (host: string, certificate: Parameters<typeof checkServerIdentity>[1]) => {
      if (host !== "localhost" || tls.serverName === host || hosts.includes(host)) {
        return checkServerIdentity(host, certificate);
      }
      const faults = hosts.map((one) => checkServerIdentity(one, certificate));
      return faults.includes(undefined) ? undefined : faults[0];
    },
  };
}

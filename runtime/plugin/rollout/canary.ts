import type { ConnectionHost } from "../connection-filter.ts";
import type { StreamHost } from "../contract.ts";
import type { RolloutPolicy } from "./policy.ts";

type Canary = NonNullable<RolloutPolicy["canary"]>;
type Match = NonNullable<Canary["header"]>;

/** Which streams go to the version on trial. */
export interface StreamChooser {
  picks(host: StreamHost): boolean;
  /** A TCP connection has no headers: the share, by its source where that keeps a client on one version. */
  picksConnection(host: Pick<ConnectionHost, "property">): boolean;
}

const shares = 10_000;

/**
 * Chooses as the policy says. `salt` makes other clients the first ones in other trials; with the same salt a client stays on
 * its version, also after a restart, and a larger share only moves clients to the version on trial.
 */
export function openChooser(canary: Canary, salt: string): StreamChooser {
  const { percent, header, cookie, hashBy } = canary;
  const limit = Math.round((percent / 100) * shares);
  const seed = hashOf(salt, 0x811c_9dc5);
  const isBelow = (key: string | undefined): boolean =>
    limit > 0 && (key === undefined ? Math.random() * shares : mixed(hashOf(key, seed)) % shares) < limit;
  const keyOf = (host: StreamHost): string | undefined => {
    if (hashBy === undefined) return undefined;
    if (hashBy === "source") return sourceOf(host);
    return "header" in hashBy ? headerOf(host, hashBy.header) : cookieOf(host, hashBy.cookie);
  };
  return {
    picks: (host) =>
      (header !== undefined && matches(header, headerOf(host, header.name))) ||
      (cookie !== undefined && matches(cookie, cookieOf(host, cookie.name))) ||
      isBelow(keyOf(host)),
    picksConnection: (host) => isBelow(hashBy === "source" ? sourceOf(host) : undefined),
  };
}

const matches = (match: Match, found: string | undefined): boolean =>
  found !== undefined && (match.value === undefined || match.value === found);

const headerOf = (host: StreamHost, name: string): string | undefined =>
  host.headers("request-headers")?.get(name.toLowerCase());

/** HTTP/2 may send cookies in several fields. */
function cookieOf(host: StreamHost, wanted: string): string | undefined {
  for (const [name, value] of host.headers("request-headers")?.entries() ?? []) {
    if (name !== "cookie") continue;
    for (const pair of value.split(";")) {
      const at = pair.indexOf("=");
      if (at >= 0 && pair.slice(0, at).trim() === wanted) return pair.slice(at + 1).trim();
    }
  }
  return undefined;
}

/** The address of the client, without its port. */
function sourceOf(host: Pick<ConnectionHost, "property">): string | undefined {
  const address = host.property(["source", "address"]);
  return typeof address === "string" ? address.replace(/:\d+$/, "") : undefined;
}

/** FNV-1a of the text. */
function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193);
  }
  return hash;
}

/** Spreads neighbours over the whole range, as MurmurHash3 does at its end. */
function mixed(hash: number): number {
  let value = hash;
  value = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2_ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

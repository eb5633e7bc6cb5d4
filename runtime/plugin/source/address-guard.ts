import { lookup } from "node:dns";
// The bundle has named exports of Node's modules only where reading them loads nothing, which BlockList's does.
import net, { isIP, type LookupFunction } from "node:net";
import { SourceError } from "./source-error.ts";

/** Networks that are not of the open internet: this host, private and link-local ones, those set aside, and ways round. */
const closed4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const;
const closed6 = [
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const;

/**
 * Keeps whoever is asked for a module from sending the sidecar to addresses that only the sidecar can reach, such as the
 * metadata service of a cloud. It judges the addresses that are connected to, not the names, which may change their meaning.
 */
export class AddressGuard {
  readonly #closed = new net.BlockList();
  readonly #allowed = new net.BlockList();
  readonly #allowsAll: boolean;

  constructor(allowed: boolean | readonly string[]) {
    this.#allowsAll = allowed === true;
    for (const [address, prefix] of closed4) this.#closed.addSubnet(address, prefix, "ipv4");
    for (const [address, prefix] of closed6) this.#closed.addSubnet(address, prefix, "ipv6");
    for (const network of typeof allowed === "boolean" ? [] : allowed) {
      const [address = "", prefix] = network.split("/");
      const family = isIP(address) === 4 ? "ipv4" : "ipv6";
      this.#allowed.addSubnet(address, Number(prefix ?? (family === "ipv4" ? 32 : 128)), family);
    }
  }

  allows(address: string): boolean {
    const version = isIP(address);
    if (version === 0) return false;
    if (this.#allowsAll) return true;
    const family = version === 4 ? "ipv4" : "ipv6";
    return this.#allowed.check(address, family) || !this.#closed.check(address, family);
  }

  /** Throws SourceError when the host is an address that is not allowed; names are judged by `lookup`. */
  requireAllowed(host: string): void {
    const address = host.replace(/^\[|\]$/g, "");
    if (isIP(address) !== 0 && !this.allows(address)) throw refusal(host);
  }

  /** For connections: finds the addresses of a name that are allowed, and fails when there are none. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const allowed = addresses.filter(({ address }) => this.allows(address));
      const [first] = allowed;
      if (first === undefined) return callback(refusal(host), []);
      if (options.all === true) return callback(null, allowed);
      callback(null, first.address, first.family);
    });
  };
}

const refusal = (host: string): SourceError =>
  new SourceError(
    `it leads to ${host}, which has a private address; plugins.sources.allowPrivateAddresses may allow it`,
  );

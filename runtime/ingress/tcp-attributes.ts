import type { PropertyValue } from "../plugin/contract.ts";
import { hostPort } from "../proxy/stream.ts";

/** What is known of a TCP connection: the client's side from the start, the upstream's once it is connected. */
export interface TcpFacts {
  readonly id: number;
  /** The address of the listener, as it is configured. */
  readonly listener: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** `address:port` of the client. */
  readonly peer: string;
  readonly localAddress: string;
  readonly localPort: number;
  readonly upstream: string;
  endpoint: string | undefined;
  upstreamLocalAddress: string | undefined;
  upstreamLocalPort: number | undefined;
}

/** An attribute of a TCP connection by its path, as Envoy names and types them. */
export function tcpAttribute(facts: TcpFacts, [root, key]: readonly string[]): PropertyValue | undefined {
  switch (root) {
    case "connection":
      if (key === "id") return BigInt(facts.id);
      return key === "mtls" ? false : undefined;
    case "source":
      return addressOrPort(facts.remoteAddress, facts.remotePort, key);
    case "destination":
      return addressOrPort(facts.localAddress, facts.localPort, key);
    case "upstream":
      return upstreamAttribute(facts, key);
    case "cluster_name":
      return facts.upstream;
    case "listener_direction":
      return 1n;
    default:
      return undefined;
  }
}

function upstreamAttribute(facts: TcpFacts, key: string | undefined): PropertyValue | undefined {
  const { endpoint, upstreamLocalAddress = "", upstreamLocalPort = 0 } = facts;
  if (endpoint === undefined) return undefined;
  switch (key) {
    case "address":
      return endpoint;
    case "port":
      return BigInt(endpoint.slice(endpoint.lastIndexOf(":") + 1));
    case "local_address":
      return hostPort(upstreamLocalAddress, upstreamLocalPort);
    case "local_port":
      return BigInt(upstreamLocalPort);
    default:
      return undefined;
  }
}

function addressOrPort(address: string, port: number, key: string | undefined): PropertyValue | undefined {
  if (key === "address") return hostPort(address, port);
  return key === "port" ? BigInt(port) : undefined;
}

import type net from "node:net";
import type { ConnectionFacts } from "../proxy/exchange.ts";

/** What is known of an accepted socket. */
export function factsOf(socket: net.Socket, id: number, protocol: ConnectionFacts["protocol"]): ConnectionFacts {
  return {
    id,
    protocol,
    scheme: "http",
    remoteAddress: socket.remoteAddress ?? "",
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? "",
    localPort: socket.localPort ?? 0,
  };
}

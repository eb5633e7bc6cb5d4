import type net from "node:net";
import type { ConnectionFacts } from "../proxy/exchange.ts";
import type { SectionMemo } from "../proxy/section-memo.ts";
import { hostPort } from "../proxy/stream.ts";

/** A connection of a client that speaks HTTP/2. */
export interface Http2ClientFacts extends ConnectionFacts {
  /** Of the heads and trailers of the answers that were sent last. */
  readonly sections: SectionMemo;
}

/** What is known of an accepted socket. */
export function factsOf(socket: net.Socket, id: number, protocol: ConnectionFacts["protocol"]): ConnectionFacts {
  const { remoteAddress = "", remotePort = 0 } = socket;
  return {
    id,
    protocol,
    scheme: "http",
    remoteAddress,
    remotePort,
    peer: hostPort(remoteAddress, remotePort),
    localAddress: socket.localAddress ?? "",
    localPort: socket.localPort ?? 0,
  };
}

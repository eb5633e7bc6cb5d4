import net from "node:net";
import tls from "node:tls";
import { parseHostPort } from "../listen.ts";

/**
 * Begins TLS connections to `host:port`, `[v6]:port` or `unix:/path` that agree on HTTP/2 (RFC 9113, section 3.2); a peer that
 * does not is hung up on. `options` is asked at each dial, so that certificates can change.
 */
export function tlsConnect(address: string, options: () => tls.ConnectionOptions): () => tls.TLSSocket {
  const target = address.startsWith("unix:") ? { path: address.slice("unix:".length) } : parseHostPort(address);
  const servername = "host" in target && net.isIP(target.host) === 0 ? { servername: target.host } : {};
  return () => {
    const socket = tls.connect({ ...servername, ...options(), ...target, ALPNProtocols: ["h2"] });
    socket.setNoDelay(true).setKeepAlive(true, 60_000);
    socket.once("secureConnect", () => {
      if (socket.alpnProtocol !== "h2")
        socket.destroy(new Error("it speaks TLS, but does not agree on HTTP/2 (ALPN h2)"));
    });
    return socket;
  };
}

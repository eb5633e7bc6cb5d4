import type net from "node:net";

/** What an HTTP/2 client sends first (RFC 9113, section 3.4); no HTTP/1.1 request begins like it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export interface DetectionOptions {
  /** A connection that has not told its protocol in so long is closed. */
  readonly timeoutMs: number;
  /** Called at most once, with what was read of the socket. */
  readonly detected: (protocol: "HTTP/1.1" | "HTTP/2", received: Buffer) => void;
}

/** Reads a new connection until it is clear which protocol it speaks, octet by octet if need be. */
export function detectProtocol(socket: net.Socket, { timeoutMs, detected }: DetectionOptions): void {
  let received: Buffer = Buffer.alloc(0);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("data", read).off("close", stop).off("error", ignore);
  };
  const decide = (protocol: "HTTP/1.1" | "HTTP/2"): void => {
    stop();
    detected(protocol, received);
  };
  const read = (chunk: Buffer): void => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const length = Math.min(received.length, preface.length);
    if (preface.compare(received, 0, length, 0, length) !== 0) decide("HTTP/1.1");
    else if (length === preface.length) decide("HTTP/2");
  };
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  socket.on("data", read).on("close", stop).on("error", ignore);
}

const ignore = (): void => undefined;

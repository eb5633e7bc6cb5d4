import type { Log } from "./log.ts";

/** One finished TCP connection, as the data plane tells of it. */
export interface ConnectionRecord {
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** The address of the listener, as it is configured. */
  readonly listener: string;
  readonly connectionId: number;
  /** How it ended, in a word or two: `via_upstream`, `client_reset`, `idle_timeout`. */
  readonly details: string;
  /** Bytes from the client, and to it. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly upstream: string;
  /** The endpoint that took the connection, if one did. */
  readonly endpoint?: string | undefined;
  /** The plugin that ended it. */
  readonly plugin?: string | undefined;
  /** `address:port` of the client. */
  readonly peer: string;
}

/** Writes one line at level `info` for each finished connection. */
export function connectionLog(log: Log): (record: ConnectionRecord) => void {
  return ({ startedAtMs: _, ...record }) => log.info({ log: "access", protocol: "TCP", ...record }, "access");
}

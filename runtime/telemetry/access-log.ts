import { AccessLine } from "./access-line.ts";
import { destinationOf, type Log } from "./log.ts";

/** One finished exchange, as the data plane tells of it. */
export interface AccessRecord {
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly protocol: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly authority: string;
  /** Name of the route; absent when none matched. */
  readonly route?: string | undefined;
  /** As sent to the client; 499 when it was gone, 0 when the stream was reset, before the head of a response was sent. */
  readonly status: number;
  /** Where the response came from or what went wrong, in a word or two: `via_upstream`, `route_not_found`. */
  readonly details: string;
  /** Envoy's short flags, such as `UF` or `DC`. */
  readonly flags: readonly string[];
  /** Bytes of the bodies. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Name of the upstream that was asked, and the endpoint that took the request. */
  readonly upstream?: string | undefined;
  readonly endpoint?: string | undefined;
  /** The plugin that was the target, or that answered in place of it. */
  readonly plugin?: string | undefined;
  /** `address:port` of the client; empty on a Unix socket. */
  readonly peer: string;
  readonly requestId: string;
  readonly userAgent?: string | undefined;
}

/** Writes one line at level `info` for each finished exchange, without looking for secrets: no field can hold one. */
export function accessLog(log: Log): (record: AccessRecord) => void {
  const destination = destinationOf(log);
  const line = new AccessLine();
  return (record) => {
    if (!log.isLevelEnabled("info")) return;
    if (destination.writeLate === undefined) destination.write(line.of(record));
    else destination.writeLate(new LateAccessLine(line, record));
  };
}

/** The line of a record that is made when many are: one at a time, the code for it is never in the processor's caches. */
class LateAccessLine {
  readonly #line: AccessLine;
  readonly #record: AccessRecord;

  constructor(line: AccessLine, record: AccessRecord) {
    this.#line = line;
    this.#record = record;
  }

  text(): string {
    return this.#line.of(this.#record);
  }
}

import type { ConnectionFacts } from "../proxy/exchange.ts";
import type { AccessRecord } from "../telemetry/access-log.ts";

/** Why a request never became an exchange. */
export interface Refusal {
  readonly status: number;
  readonly details: string;
}

/** What could be read of a request that was refused. */
export interface RefusedRequest {
  readonly method: string;
  readonly target: string;
  readonly minor: 0 | 1;
}

/** What the access log shows of a request that never became an exchange; what could not be read is empty. */
export function refusalRecord(
  refusal: Refusal,
  connection: ConnectionFacts,
  request: RefusedRequest | undefined,
): AccessRecord {
  return {
    startedAtMs: Date.now(),
    durationMs: 0,
    protocol: request?.minor === 0 ? "HTTP/1.0" : "HTTP/1.1",
    method: request?.method ?? "",
    path: request?.target ?? "",
    authority: "",
    status: refusal.status,
    details: refusal.details,
    flags: ["DPE"],
    bytesReceived: 0,
    bytesSent: 0,
    peer: connection.peer,
    requestId: "",
  };
}

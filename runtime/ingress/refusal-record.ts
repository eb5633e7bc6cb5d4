import type http from "node:http";
import type { ConnectionFacts } from "../proxy/exchange.ts";
import { hostPort } from "../proxy/stream.ts";
import type { AccessRecord } from "../telemetry/access-log.ts";
import type { Refusal } from "./http1.ts";

/** What the access log shows of a request that never became an exchange; what could not be read is empty. */
export function refusalRecord(
  refusal: Refusal,
  connection: ConnectionFacts | undefined,
  request?: http.IncomingMessage,
): AccessRecord {
  return {
    startedAtMs: Date.now(),
    durationMs: 0,
    protocol: request === undefined ? "HTTP/1.1" : `HTTP/${request.httpVersion}`,
    method: request?.method ?? "",
    path: request?.url ?? "",
    authority: request?.headers.host ?? "",
    status: refusal.status,
    details: refusal.details,
    flags: ["DPE"],
    bytesReceived: 0,
    bytesSent: 0,
    peer: connection === undefined ? "" : hostPort(connection.remoteAddress, connection.remotePort),
    requestId: "",
  };
}

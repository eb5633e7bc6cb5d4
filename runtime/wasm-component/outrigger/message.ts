import type { HeaderMap, LocalReply, StreamHost } from "../../plugin/contract.ts";
import type { Pairs } from "./pairs.ts";

/** The records `request` and `response` of the world, as jco has them. */
export interface WitRequest {
  readonly method: string;
  readonly path: string;
  readonly scheme: string;
  readonly authority: string;
  readonly headers: Pairs;
  readonly body: Uint8Array;
}

export interface WitResponse {
  readonly status: number;
  readonly headers: Pairs;
  readonly body: Uint8Array;
}

export const noBytes = new Uint8Array(0);

/** The request whose head, and body if there is one, are held. The body is a view of what the host holds. */
export function requestOf(host: StreamHost): WitRequest {
  const headers = host.headers("request-headers");
  return {
    method: headers?.get(":method") ?? "",
    path: headers?.get(":path") ?? "",
    scheme: headers?.get(":scheme") ?? "",
    authority: headers?.get(":authority") ?? "",
    headers: fieldsOf(headers),
    body: bodyOf(host, "request"),
  };
}

export function responseOf(host: StreamHost): WitResponse {
  const headers = host.headers("response-headers");
  return { status: Number(headers?.get(":status")), headers: fieldsOf(headers), body: bodyOf(host, "response") };
}

/** What the sidecar asked of the plugin: the head only when the sidecar itself made the request. */
export function headerFromSidecar(host: StreamHost, name: string): string | undefined {
  if (host.property(["outrigger", "origin"]) !== "sidecar") return undefined;
  return host.headers("request-headers")?.get(name);
}

export function bodyOf(host: StreamHost, direction: "request" | "response"): Uint8Array {
  const body = host.body(direction);
  return body === undefined || body.length === 0 ? noBytes : body.read(0, body.length);
}

/** From here on an answer goes out without a copy of it being made. */
const largeBytes = 64 * 1024;

/** Sends the whole answer of a service. */
export function answer(host: StreamHost, { status, headers, body }: WitResponse): void {
  const sink = body.length > largeBytes && status >= 200 && status <= 599 ? host.answer(unheeding) : undefined;
  if (sink === undefined) {
    host.respond(replyOf({ status, headers, body }));
    return;
  }
  const fields = headers.filter(([name]) => name !== "content-length" && !name.startsWith(":"));
  try {
    sink.head([[":status", String(status)], ...fields, ["content-length", String(body.length)]], false);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    sink.reset(`its answer cannot be sent: ${error.message}`);
    return;
  }
  sink.data(body, true);
}

export const replyOf = ({ status, headers, body }: WitResponse): LocalReply => ({ status, details: "", headers, body });

/** All of the answer is there at once: nobody is to be held back. */
const unheeding = { pause: () => {}, resume: () => {}, reset: () => {} };

/** The fields that are no part of the request line or the status line. */
function fieldsOf(headers: HeaderMap | undefined): Pairs {
  return headers?.entries().filter(([name]) => !name.startsWith(":")) ?? [];
}

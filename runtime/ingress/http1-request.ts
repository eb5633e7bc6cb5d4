import type http from "node:http";
import type { ConnectionFacts } from "../proxy/exchange.ts";
import { HeaderList, isAuthority, isRequestTarget } from "../proxy/headers.ts";
import { removeHopByHop } from "../proxy/hop-by-hop.ts";
import { declaredLength } from "../proxy/outlet.ts";
import type { Refusal } from "./http1.ts";

/** The head of a request, free of what concerned its connection only. */
export interface Http1Head {
  readonly headers: HeaderList;
  readonly endOfStream: boolean;
  /** Length of the body, when the head declares it. */
  readonly declared: number | undefined;
}

/**
 * Reads a head that the parser has accepted, and refuses what leaves room for two readings: several hosts, codings other
 * than chunked, fields dropped through Connection that must arrive. Paths are taken as they are, without normalisation.
 */
export function requestHead(request: http.IncomingMessage, connection: ConnectionFacts): Http1Head | Refusal {
  const target = targetOf(request);
  if (target === undefined) return malformed("the request target is not a path");
  const raw = [":method", request.method ?? "", ":scheme", connection.scheme];
  const { rawHeaders } = request;
  let hosts = 0;
  let host = "";
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? "").toLowerCase();
    const value = rawHeaders[at + 1] ?? "";
    if (name === "host") {
      hosts += 1;
      host = value;
    } else if (name !== "expect") raw.push(name, value);
  }
  if (hosts > 1) return malformed("the request has more than one Host");
  const authority = target.authority ?? host;
  if (!isAuthority(authority)) return malformed("the request's Host is not a host");
  raw.push(":authority", authority, ":path", target.path);
  const headers = HeaderList.fromRaw(raw);
  return framed(request, headers);
}

function framed(request: http.IncomingMessage, headers: HeaderList): Http1Head | Refusal {
  const codings = headers.getAll("transfer-encoding");
  const chunked = codings.length === 1 && codings[0]?.trim().toLowerCase() === "chunked";
  if (codings.length > 0 && !chunked) {
    const message = "the request's Transfer-Encoding is not supported; only chunked is";
    return { status: 501, details: "transfer_encoding_refused", message };
  }
  if (chunked && request.httpVersion !== "1.1") return malformed("Transfer-Encoding needs HTTP/1.1");
  if (headers.has("upgrade") && asksForUpgrade(headers)) {
    return { status: 501, details: "upgrade_refused", message: "protocol upgrades are not supported" };
  }
  const forbidden = removeHopByHop(headers);
  if (forbidden !== undefined) return malformed(`Connection must not list '${forbidden}'`);
  const declared = declaredLength(headers);
  headers.settle();
  return { headers, endOfStream: !chunked && (declared ?? 0) === 0, declared };
}

/** An offer to go on in HTTP/2 may be passed over; whoever asks for another protocol waits for an answer. */
function asksForUpgrade(headers: HeaderList): boolean {
  const listed = headers.getAll("connection").some((value) => /(^|,)\s*upgrade\s*(,|$)/i.test(value));
  return listed && headers.get("upgrade")?.trim().toLowerCase() !== "h2c";
}

/** The path of origin form, or of absolute form, whose host then wins over Host (RFC 9112, section 3.2.2). */
function targetOf(request: http.IncomingMessage): { path: string; authority?: string } | undefined {
  const url = request.url ?? "";
  if (isRequestTarget(url)) return url === "*" && request.method !== "OPTIONS" ? undefined : { path: url };
  const absolute = /^https?:\/\/([^/?#]+)([/?].*)?$/i.exec(url);
  const authority = absolute?.[1];
  if (absolute === null || authority === undefined) return undefined;
  const rest = absolute[2] ?? "/";
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  return isRequestTarget(path) ? { path, authority } : undefined;
}

function malformed(message: string): Refusal {
  return { status: 400, details: "malformed_request", message };
}

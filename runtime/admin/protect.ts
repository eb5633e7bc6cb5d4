import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** Why a request is refused, as an HTTP status and a sentence. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
}

export interface Protection {
  /** `host:port` as bound. */
  readonly address: string;
  /** Bearer token for everything but GET and HEAD. */
  readonly token: string | undefined;
}

const loopbackHosts = new Set(["127.0.0.1", "localhost", "[::1]"]);

/**
 * Keeps pages in a browser and strangers from controlling the sidecar: the Host must be one that the listener has (a rebound
 * DNS name is not), an Origin must be the listener's own, and whatever changes something needs the token and JSON.
 */
export function refuse(request: IncomingMessage, { address, token }: Protection): Refusal | undefined {
  const host = request.headers.host;
  if (host === undefined || !isOwnHost(host, address)) {
    return {
      status: 403,
      message: `the Host header '${host ?? ""}' is not an address of this listener; expected ${address}`,
    };
  }
  const { origin } = request.headers;
  if (origin !== undefined && !(origin.startsWith("http://") && isOwnHost(origin.slice("http://".length), address))) {
    return { status: 403, message: "requests from other origins are refused" };
  }
  if (request.method === "GET" || request.method === "HEAD") return undefined;
  if (token === undefined) {
    return { status: 403, message: "set admin.token in the configuration to allow anything but GET" };
  }
  if (!isBearer(request.headers.authorization, token)) {
    return { status: 401, message: "expected the header 'authorization: Bearer' with the token of admin.token" };
  }
  const hasBody = request.headers["content-length"] !== "0" && hasOneOf(request, "content-length", "transfer-encoding");
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (hasBody && type !== "application/json") {
    return { status: 415, message: "expected the content type application/json" };
  }
  return undefined;
}

const hasOneOf = (request: IncomingMessage, ...names: string[]): boolean =>
  names.some((name) => request.headers[name] !== undefined);

function isOwnHost(host: string, address: string): boolean {
  const [name, port] = splitHost(host.toLowerCase());
  const [ownName, ownPort] = splitHost(address.toLowerCase());
  return port === ownPort && (loopbackHosts.has(name) || name === ownName);
}

function splitHost(host: string): [name: string, port: string] {
  const match = /^(.*?)(?::(\d+))?$/.exec(host);
  return [match?.[1] ?? "", match?.[2] ?? "80"];
}

/** In a time that tells nothing of the token. */
function isBearer(header: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? "";
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

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
  /** Bearer tokens for what is not open to everyone, by the name that the history knows their owners by. */
  readonly tokens: ReadonlyMap<string, string>;
}

const loopbackHosts = new Set(["127.0.0.1", "localhost", "[::1]"]);

/**
 * Keeps pages in a browser from asking anything: the Host must be one that the listener has (a rebound DNS name is not), an
 * Origin must be the listener's own.
 */
export function isOwn(request: IncomingMessage, { address }: Protection): Refusal | undefined {
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
  return undefined;
}

/** Whose token the request came with; strangers are refused. */
export function authorize(request: IncomingMessage, { tokens }: Protection): { readonly by: string } | Refusal {
  if (tokens.size === 0) {
    return { status: 403, message: "set admin.token in the configuration to allow anything that needs a token" };
  }
  const by = ownerOf(request.headers.authorization, tokens);
  if (by !== undefined) return { by };
  return { status: 401, message: "expected the header 'authorization: Bearer' with a token of the configuration" };
}

/** Without parameters, in lower case. */
export const contentTypeOf = (request: IncomingMessage): string =>
  (request.headers["content-type"]?.split(";")[0] ?? "").trim().toLowerCase();

function isOwnHost(host: string, address: string): boolean {
  const [name, port] = splitHost(host.toLowerCase());
  const [ownName, ownPort] = splitHost(address.toLowerCase());
  return port === ownPort && (loopbackHosts.has(name) || name === ownName);
}

function splitHost(host: string): [name: string, port: string] {
  const match = /^(.*?)(?::(\d+))?$/.exec(host);
  return [match?.[1] ?? "", match?.[2] ?? "80"];
}

/** The name of whom a bearer token belongs to, in a time that tells nothing of the tokens: all are looked at. */
export function ownerOf(header: string | undefined, tokens: ReadonlyMap<string, string>): string | undefined {
  const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? "";
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const wanted = digest(given);
  let found: string | undefined;
  for (const [name, token] of tokens) if (timingSafeEqual(wanted, digest(token))) found = name;
  return found;
}

/** Bearer tokens by the names of who has them; that of `admin.token` is `admin`. */
export function tokensOf({ token, tokens }: AdminTokens): ReadonlyMap<string, string> {
  return new Map([...(token === undefined ? [] : [["admin", token] as const]), ...Object.entries(tokens)]);
}

/** `admin` of the configuration, as far as it is about tokens. */
interface AdminTokens {
  readonly token?: string | undefined;
  readonly tokens: Readonly<Record<string, string>>;
}

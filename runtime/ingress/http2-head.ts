import type { HeaderBlock } from "../http2/header-block.ts";
import type { Failure } from "../proxy/exchange.ts";
import type { ForwardedRequest } from "../proxy/forwarding.ts";
import { faultOf, faultOfRequest, HeaderList, isAuthority } from "../proxy/headers.ts";
import { removeHopByHop } from "../proxy/hop-by-hop.ts";
import { isGrpc } from "../proxy/local-reply.ts";
import { declaredLength } from "../proxy/outlet.ts";
import type { Http2ClientFacts } from "./connection-facts.ts";
import { addForwarded, givenRequestId } from "./forwarded.ts";
import type { Route, RoutingTable } from "./routing-table.ts";

/** Reads a head, or finds what was read of an equal one before. */
export function headOf(block: HeaderBlock, connection: Http2ClientFacts): Http2Head {
  const { note } = block;
  if (note instanceof Http2Head && note.connection === connection) return note;
  const head = new Http2Head(block, connection);
  block.note = head;
  return head;
}

/** The head of a request over HTTP/2 as the proxy reads it. Equal heads of a connection are read once, so it is never changed. */
export class Http2Head implements ForwardedRequest {
  readonly connection: Http2ClientFacts;
  /** Free of what concerned the connection only, and saying where the request came from; without a request id of ours. */
  readonly headers: HeaderList;
  /** What is wrong with it. */
  readonly refusal: Failure | undefined;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly userAgent: string | undefined;
  /** The id that the client gave, when it is acceptable. */
  readonly requestId: string | undefined;
  readonly isGrpc: boolean;
  readonly expectsContinue: boolean;
  readonly declared: number | undefined;
  /** Names of fields that belong in no compression table. */
  readonly sensitive: readonly string[] | undefined;
  /** The head as an upstream over HTTP/2 gets it, but for the request id when that is ours. */
  passed: HeaderBlock | undefined = undefined;
  /** The route by the table that was asked last. */
  routed: { readonly table: RoutingTable; readonly route: Route | undefined } | undefined = undefined;

  constructor(block: HeaderBlock, connection: Http2ClientFacts) {
    const headers = HeaderList.ofFlat(block.flat);
    this.connection = connection;
    this.headers = headers;
    this.sensitive = block.sensitive;
    this.expectsContinue = headers.get("expect")?.toLowerCase() === "100-continue";
    this.refusal = clean(headers);
    this.method = headers.get(":method") ?? "";
    this.path = headers.get(":path") ?? "";
    this.authority = headers.get(":authority") ?? "";
    this.userAgent = headers.get("user-agent");
    this.isGrpc = isGrpc(headers);
    this.declared = declaredLength(headers);
    this.requestId = givenRequestId(headers);
    if (this.requestId === undefined && headers.has("x-request-id")) headers.remove("x-request-id");
    if (this.refusal === undefined) addForwarded(headers, connection);
    headers.settle();
  }
}

/** Makes the head one that any protocol can carry on; what is wrong with it when it cannot be one. */
function clean(headers: HeaderList): Failure | undefined {
  if (headers.get(":method") === "CONNECT") {
    return { status: 501, details: "connect_refused", message: "CONNECT is not supported" };
  }
  const hosts = headers.getAll("host");
  const [host] = hosts;
  if (hosts.length > 1) return malformed("the request has more than one Host");
  if (host !== undefined) {
    const authority = headers.get(":authority");
    if (authority !== undefined && authority !== host) return malformed("the request's Host is not its :authority");
    if (!isAuthority(host)) return malformed("the request's Host is not a host");
    headers.set(":authority", host);
    headers.remove("host");
  }
  // Clients split cookies to compress them (RFC 9113, section 8.2.3); only HTTP/2 may see them so.
  const cookies = headers.getAll("cookie");
  if (cookies.length > 1) headers.set("cookie", cookies.join("; "));
  removeHopByHop(headers);
  if (headers.has("expect")) headers.remove("expect");
  const fault = faultOfRequest(headers) ?? faultOf(headers.flat);
  if (fault !== undefined) return malformed(`the request cannot be passed on: ${fault}`);
  if (headers.get(":path") === "*" && headers.get(":method") !== "OPTIONS") {
    return malformed("the request target is not a path");
  }
  return undefined;
}

function malformed(message: string): Failure {
  return { status: 400, details: "malformed_request", message, flag: "DPE" };
}

import { randomUUID } from "node:crypto";
import type { ConnectionFacts } from "../proxy/exchange.ts";
import type { HeaderList } from "../proxy/headers.ts";

const acceptableId = /^[\x21-\x7e]{1,128}$/;

/**
 * Adds what tells the next hop where a request came from, and returns its id. The client's address goes to the end of
 * x-forwarded-for; x-forwarded-proto, x-forwarded-host and x-request-id of a proxy in front stay. Via is not written.
 */
export function addForwarded(headers: HeaderList, connection: ConnectionFacts): string {
  const { remoteAddress } = connection;
  if (remoteAddress !== "") {
    const before = headers.getAll("x-forwarded-for").join(", ");
    headers.set("x-forwarded-for", before === "" ? remoteAddress : `${before}, ${remoteAddress}`);
  }
  if (!headers.has("x-forwarded-proto")) headers.set("x-forwarded-proto", connection.scheme);
  const authority = headers.get(":authority") ?? "";
  if (authority !== "" && !headers.has("x-forwarded-host")) headers.set("x-forwarded-host", authority);
  const given = headers.get("x-request-id") ?? "";
  const id = acceptableId.test(given) ? given : randomUUID();
  headers.set("x-request-id", id);
  headers.settle();
  return id;
}

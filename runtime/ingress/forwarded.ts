import type { ConnectionFacts } from "../proxy/exchange.ts";
import type { HeaderList } from "../proxy/headers.ts";

const acceptableId = /^[\x21-\x7e]{1,128}$/;

/**
 * Adds what tells the next hop where a request came from. The client's address goes to the end of x-forwarded-for;
 * x-forwarded-proto and x-forwarded-host of a proxy in front stay. Via is not written.
 */
export function addForwarded(headers: HeaderList, connection: ConnectionFacts): void {
  const { remoteAddress } = connection;
  if (remoteAddress !== "") {
    if (!headers.has("x-forwarded-for")) headers.append("x-forwarded-for", remoteAddress);
    else
      headers.set(
        "x-forwarded-for",
        [...headers.getAll("x-forwarded-for").filter((value) => value !== ""), remoteAddress].join(", "),
      );
  }
  if (!headers.has("x-forwarded-proto")) headers.append("x-forwarded-proto", connection.scheme);
  const authority = headers.get(":authority") ?? "";
  if (authority !== "" && !headers.has("x-forwarded-host")) headers.append("x-forwarded-host", authority);
}

/** The request's id as a proxy in front or the client gave it, when it is acceptable. */
export function givenRequestId(headers: HeaderList): string | undefined {
  const given = headers.get("x-request-id") ?? "";
  return acceptableId.test(given) ? given : undefined;
}

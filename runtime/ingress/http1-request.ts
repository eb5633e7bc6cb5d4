import { MessageFault, malformed } from "../http1/message-fault.ts";
import type { RequestHead } from "../http1/request-head.ts";
import { HeaderList } from "../proxy/headers.ts";
import { removeHopByHop } from "../proxy/hop-by-hop.ts";

/**
 * The fields of a request as filters see them, free of what concerned its connection only. Throws MessageFault when
 * Connection would take away what must arrive, and when another protocol is asked for.
 */
export function requestFields(head: RequestHead, scheme: string): HeaderList {
  const pseudo = [":method", head.method, ":scheme", scheme, ":authority", head.authority, ":path", head.path];
  const headers = HeaderList.adopt(pseudo.concat(head.fields));
  if (!head.hasConnectionFields) return headers;
  if (headers.has("upgrade") && asksForUpgrade(headers)) {
    throw new MessageFault(501, "upgrade_refused", "protocol upgrades are not supported");
  }
  const forbidden = removeHopByHop(headers);
  if (forbidden !== undefined) throw malformed(`Connection must not list '${forbidden}'`);
  headers.settle();
  return headers;
}

/** An offer to go on in HTTP/2 may be passed over; whoever asks for another protocol waits for an answer. */
function asksForUpgrade(headers: HeaderList): boolean {
  const listed = headers.getAll("connection").some((value) => /(^|,)\s*upgrade\s*(,|$)/i.test(value));
  return listed && headers.get("upgrade")?.trim().toLowerCase() !== "h2c";
}

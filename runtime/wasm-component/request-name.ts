import type { StreamHost } from "../plugin/contract.ts";

const mostCharacters = 200;

/** A request as the plugin's log names it: its method, its path without the query, which may hold secrets, and its id. */
export function requestName(host: StreamHost): string {
  const head = host.headers("request-headers");
  const [path = ""] = (head?.get(":path") ?? "").split("?", 1);
  const id = head?.get("x-request-id");
  const name = `${head?.get(":method") ?? ""} ${path.slice(0, mostCharacters)}`;
  return id === undefined ? name : `${name} (request ${id.slice(0, mostCharacters)})`;
}

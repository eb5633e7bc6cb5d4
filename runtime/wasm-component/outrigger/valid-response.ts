import type { StreamHost } from "../../plugin/contract.ts";
import { faultOfField } from "../field-fault.ts";
import type { Guest } from "../provider.ts";
import { requestName } from "../request-name.ts";
import type { WitResponse } from "./message.ts";

/** The guest's response when it can be sent. Else a 500 with a sentence of its own, which the plugin's log has too. */
export function validResponse(guest: Guest, host: StreamHost, response: WitResponse): WitResponse {
  const fault = faultOf(response);
  if (fault === undefined) return response;
  const { name } = guest.host.program;
  const sentence = `plugin '${name}' gave a response that is not valid: ${fault}`;
  guest.host.log("warn", `${requestName(host)}: ${sentence} (the client got 500)`);
  return {
    status: 500,
    headers: [["content-type", "text/plain; charset=utf-8"]],
    body: Buffer.from(`${sentence}\n`),
  };
}

/** Names that begin with a colon are left out when it is sent. */
function faultOf({ status, headers }: WitResponse): string | undefined {
  if (!(status >= 200 && status <= 599)) return `its status is ${status}, and 200 to 599 can be sent`;
  for (const [name, value] of headers) {
    const fault = name.startsWith(":") ? undefined : faultOfField(name, value);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

import { isConnectionField } from "../http1/connection-fields.ts";
import type { Handler } from "./exchange.ts";
import type { ServiceAnswer } from "./filter-slot.ts";
import { faultOfFields, statusOf } from "./headers.ts";

/** The target behind a service: sends what the plugin filled in when it lets the end of the request pass. */
export function serviceAnswer(answer: ServiceAnswer): Handler {
  return (request, endOfStream, response) => {
    let over = false;
    const send = () => {
      if (over) return;
      over = true;
      const { headers, body } = answer;
      const status = statusOf(headers);
      const fault = status === undefined ? "its ':status' is not one of a final response" : faultOfFields(headers);
      if (fault !== undefined) {
        const message = `the plugin's response is not valid: ${fault}`;
        response.reset({ status: 500, details: "invalid_plugin_response", message });
        return;
      }
      for (const [name] of headers.entries()) {
        if (isConnectionField(name) || (name.startsWith(":") && name !== ":status")) headers.remove(name);
      }
      headers.remove("content-length");
      const bodiless = status === 204 || status === 304;
      if (!bodiless) headers.set("content-length", String(body.length));
      if (bodiless || body.length === 0 || request.get(":method") === "HEAD") {
        response.head(headers, true);
        return;
      }
      response.head(headers, false);
      const chunks = body.take();
      let left = chunks.length;
      for (const chunk of chunks) {
        left -= 1;
        response.data(chunk, left === 0);
      }
    };
    if (endOfStream) send();
    return {
      data: (_chunk, ends) => {
        if (ends) send();
      },
      trailers: send,
      reset: () => {
        over = true;
      },
      pause: () => undefined,
      resume: () => undefined,
    };
  };
}

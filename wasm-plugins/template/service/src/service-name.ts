import type * as Handler from "outrigger:runtime/handler@0.1.0";
import type { Request, Response } from "outrigger:runtime/http@0.1.0";
import { configuration } from "outrigger:runtime/plugin@0.1.0";
import { increment } from "outrigger:runtime/state@0.1.0";
import { answering, hostError } from "../kit/guest/errors.ts";
import { json, queryOf } from "../kit/guest/http.ts";

export const handler = { handle: answering(greet) } satisfies typeof Handler;

/** `GET /…?name=Ada`: a greeting, and how often that name has been greeted. */
function greet(request: Request): Response {
  if (request.method !== "GET") return json(405, { error: "only GET is taken" });
  const name = queryOf(request).get("name") ?? "stranger";
  try {
    return json(200, { greeting: `hello ${name}`, times: increment(settings().store, `greeted/${name}`, 1) });
  } catch (error) {
    const reason = hostError(error);
    if (reason?.tag !== "unavailable") throw error;
    return json(503, { error: "the count cannot be kept now" });
  }
}

/** `configuration` of the manifest, which comes as JSON. */
function settings(): { readonly store: string } {
  const { store }: { readonly store?: unknown } = JSON.parse(configuration() || "{}");
  return { store: typeof store === "string" ? store : "greetings" };
}

/** The plugin: which request, event or tick leads where. */
import type * as Events from "outrigger:runtime/events@0.1.0";
import type * as Handler from "outrigger:runtime/handler@0.1.0";
import type { Request, Response } from "outrigger:runtime/http@0.1.0";
import type * as Schedules from "outrigger:runtime/schedules@0.1.0";
import { taking, ticking } from "../../kit/guest/deliveries.ts";
import { answering, hostError } from "../../kit/guest/errors.ts";
import { json, jsonOf, pathOf, queryOf } from "../../kit/guest/http.ts";
import { version } from "../../kit/guest/version.ts";
import { countQuotes, keepPrice, keepQuote, priceOf, quoteOf } from "./prices.ts";
import { InvalidQuestion, quote } from "./quote.ts";
import { readSettings } from "./settings.ts";

export const handler = { handle: answering(handle) } satisfies typeof Handler;

/** A change that is no change is dropped; one that cannot be kept now comes again. */
export const events = {
  onEvent: taking(({ data }) => {
    const change = priceChange(parsed(data));
    if (change === undefined) return "drop";
    keepPrice(change.sku, change.amount);
    return "success";
  }),
} satisfies typeof Events;

export const schedules = {
  onSchedule: ticking(({ schedule }) => {
    console.info(`${schedule}: ${countQuotes(0)} quotes so far`);
  }),
} satisfies typeof Schedules;

function handle(request: Request): Response {
  const answer = answerTo(request);
  return { ...answer, headers: [...answer.headers, ["x-pricing-version", version]] };
}

function answerTo(request: Request): Response {
  try {
    const [kind = "", id = "", ...others] = pathOf(request).split("/").slice(2).map(decodeURIComponent);
    if (kind === "quotes" && id !== "" && others.length === 0) return kept(request, id);
    if (kind !== "" && id === "") return price(request, kind);
    return json(404, { error: "there is nothing here" });
  } catch (error) {
    if (error instanceof InvalidQuestion || error instanceof URIError) return json(400, { error: error.message });
    if (hostError(error)?.tag !== "unavailable") throw error;
    return json(503, { error: "the prices cannot be reached" });
  }
}

function price(request: Request, sku: string): Response {
  if (request.method === "PUT") return changed(request, sku);
  if (request.method !== "GET") return json(405, { error: "only GET and PUT are taken" });
  const amount = priceOf(sku);
  if (amount === undefined) return json(404, { error: `there is no price of '${sku}'` });
  const query = queryOf(request);
  const quoted = quote(
    { sku, amount, quantity: query.get("quantity"), currency: query.get("currency"), code: query.get("code") },
    readSettings(),
  );
  const id = crypto.randomUUID();
  keepQuote(id, quoted);
  return json(200, { id, ...quoted });
}

function changed(request: Request, sku: string): Response {
  const change = priceChange({ sku, ...Object(jsonOf(request)) });
  if (change === undefined) return json(400, { error: 'expected {"amount": …}, a whole number of cents' });
  keepPrice(change.sku, change.amount);
  return json(200, change);
}

function kept({ method }: Request, id: string): Response {
  if (method !== "GET") return json(405, { error: "only GET is taken" });
  const quoted = quoteOf(id);
  return quoted === undefined ? json(404, { error: `there is no quote '${id}'` }) : json(200, { id, ...quoted });
}

function priceChange(value: unknown): { readonly sku: string; readonly amount: number } | undefined {
  const { sku, amount }: { readonly sku?: unknown; readonly amount?: unknown } = Object(value);
  if (typeof sku !== "string" || sku === "" || typeof amount !== "number") return undefined;
  return Number.isSafeInteger(amount) && amount >= 0 ? { sku, amount } : undefined;
}

function parsed(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
}

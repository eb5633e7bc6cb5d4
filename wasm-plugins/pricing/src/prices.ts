/** What is kept in the state store: prices, quotes for a day, and how many there were. */
import { get, increment, set, setMany } from "outrigger:runtime/state@0.1.0";
import type { Quote } from "./quote.ts";
import { places } from "./settings.ts";

const quoteSeconds = 86_400;

/** Cents for one; undefined when there is no price. */
export function priceOf(sku: string): number | undefined {
  const amount = read(`price/${sku}`);
  return typeof amount === "number" ? amount : undefined;
}

export function keepPrice(sku: string, amount: number): void {
  set(places().store, `price/${sku}`, bytesOf(amount));
}

/** Keeps a quote for a day, and counts it. */
export function keepQuote(id: string, quote: Quote): void {
  setMany(places().store, [{ key: `quote/${id}`, value: bytesOf(quote), ttlSeconds: quoteSeconds }]);
  countQuotes(1);
}

export const quoteOf = (id: string): Quote | undefined => read(`quote/${id}`) as Quote | undefined;

/** Adds to the number of quotes that there were; the sum. */
export const countQuotes = (more: number): number => increment(places().store, "quotes", more);

function read(key: string): unknown {
  const entry = get(places().store, key);
  return entry === null ? undefined : JSON.parse(new TextDecoder().decode(entry.value));
}

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** How a quote comes about: nothing but numbers. */
import type { Settings } from "./settings.ts";

export interface Question {
  readonly sku: string;
  /** Price of one, in cents of the currency of the settings. */
  readonly amount: number;
  readonly quantity: string | undefined;
  readonly currency: string | undefined;
  /** Of a discount. */
  readonly code: string | undefined;
}

export interface Quote {
  readonly sku: string;
  readonly quantity: number;
  readonly currency: string;
  /** Cents for one, and for all of them after the discount. */
  readonly unit: number;
  readonly total: number;
  readonly discountPercent: number;
}

/** What was asked for cannot be quoted; the message says why. */
export class InvalidQuestion extends Error {}

const mostAtOnce = 1_000_000;

/** Throws InvalidQuestion for a quantity, a currency or a code that is none. */
export function quote(question: Question, { currency: base, rates, discounts }: Settings): Quote {
  const { sku, amount, quantity: asked = "1", currency = base, code } = question;
  const quantity = Number(asked);
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > mostAtOnce)
    throw new InvalidQuestion(`'${asked}' is no quantity; expected a whole number from 1 to ${mostAtOnce}`);
  const rate = currency === base ? 1 : rates.get(currency);
  if (rate === undefined)
    throw new InvalidQuestion(`there are no prices in '${currency}'; expected ${[base, ...rates.keys()].join(", ")}`);
  const discountPercent = code === undefined ? 0 : discounts.get(code);
  if (discountPercent === undefined) throw new InvalidQuestion(`there is no discount '${code}'`);
  const unit = Math.round(amount * rate);
  const total = Math.round((unit * quantity * (100 - discountPercent)) / 100);
  return { sku, quantity, currency, unit, total, discountPercent };
}

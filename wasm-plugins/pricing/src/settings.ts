/** What operators set, in a configuration store: a change takes effect with the next request. */
import { select } from "outrigger:runtime/config@0.1.0";
import { configuration } from "outrigger:runtime/plugin@0.1.0";

export interface Settings {
  /** The currency that prices are kept in. */
  readonly currency: string;
  /** What one unit of it is in others. */
  readonly rates: ReadonlyMap<string, number>;
  /** Percent by code. */
  readonly discounts: ReadonlyMap<string, number>;
}

interface Places {
  readonly store: string;
  readonly settings: string;
}

/** The names of the stores, from the manifest. */
export function places(): Places {
  return { store: "prices", settings: "settings", ...JSON.parse(configuration() || "{}") };
}

export function readSettings(): Settings {
  const keys = ["currency", "rates", "discounts"];
  const items = select(places().settings, { keys, group: "", label: "" });
  const contents = new Map(items.map(({ key, content }) => [key, content]));
  return {
    currency: contents.get("currency") ?? "EUR",
    rates: numbers(contents.get("rates"), (rate) => rate > 0),
    discounts: numbers(contents.get("discounts"), (percent) => percent >= 0 && percent <= 100),
  };
}

/** `{"USD": 1.08}`: what is no number is left out, and told. */
function numbers(text = "{}", isGood: (value: number) => boolean): ReadonlyMap<string, number> {
  try {
    const entries = Object.entries(JSON.parse(text)).filter(
      (entry): entry is [string, number] => typeof entry[1] === "number" && isGood(entry[1]),
    );
    return new Map(entries);
  } catch (error) {
    console.warn(`'${text}' is not as expected, an object of numbers:`, error);
    return new Map();
  }
}

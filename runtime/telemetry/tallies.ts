import { Counter, type Registry } from "prom-client";

/** A number that only grows. Hot paths add to `count`. */
export interface Tally {
  count: number;
}

interface Labelled {
  readonly labels: Record<string, string>;
  readonly tally: Tally;
}

/** Tallies of one family: plain numbers that prom-client gets to see as a counter when it is scraped. */
export class Tallies {
  readonly #labelNames: readonly string[];
  readonly #tallies = new Map<string, Labelled>();

  constructor(registry: Registry, name: string, help: string, labelNames: readonly string[]) {
    this.#labelNames = labelNames;
    const counter = new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect: () => {
        counter.reset();
        for (const { labels, tally } of this.#tallies.values()) counter.inc(labels, tally.count);
      },
    });
  }

  /** The tally with these values of the labels, in their order; the same one when asked again. */
  of(...values: readonly string[]): Tally {
    const key = JSON.stringify(values);
    const known = this.#tallies.get(key);
    if (known !== undefined) return known.tally;
    const tally: Tally = { count: 0 };
    const labels = Object.fromEntries(this.#labelNames.map((name, at) => [name, values[at] ?? ""]));
    this.#tallies.set(key, { labels, tally });
    return tally;
  }
}

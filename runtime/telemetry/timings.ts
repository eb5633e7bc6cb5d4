import { Histogram, type Registry } from "prom-client";

/** Durations in seconds by buckets, kept in plain numbers. */
export class Timing {
  /** One more than bounds: the last is for what is above all of them. */
  readonly counts: number[];
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(seconds: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] ?? 0)) at += 1;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += seconds;
  }
}

/** A value as prom-client prints it. */
export interface Sample {
  readonly metricName?: string;
  readonly labels: Record<string, string | number>;
  readonly value: number;
}

/** Timings of one family by one label: a histogram of prom-client whose samples are made when it is scraped. */
export class Timings {
  readonly #name: string;
  readonly #label: string;
  readonly #bounds: readonly number[];
  readonly #timings = new Map<string, Timing>();

  constructor(registry: Registry, name: string, help: string, label: string, bounds: readonly number[]) {
    this.#name = name;
    this.#label = label;
    this.#bounds = bounds;
    const histogram = new Histogram({ name, help, labelNames: [label], buckets: [...bounds], registers: [registry] });
    // prom-client has no way to hand a histogram over, so that what it would say is said for it.
    const get = async () => ({ name, help, type: "histogram", aggregator: "sum", values: this.#samples() });
    Object.assign(histogram, { get, getForPromString: get, reset: () => this.#timings.clear() });
  }

  /** The timing with this value of the label; the same one when asked again. */
  of(value: string): Timing {
    const known = this.#timings.get(value);
    if (known !== undefined) return known;
    const timing = new Timing(this.#bounds);
    this.#timings.set(value, timing);
    return timing;
  }

  #samples(): Sample[] {
    return [...this.#timings].flatMap(([value, timing]) =>
      samplesOf(this.#name, { [this.#label]: value }, timing, this.#bounds),
    );
  }
}

/** What a histogram says of a series; nothing when nothing was observed. */
export function samplesOf(
  name: string,
  labels: Readonly<Record<string, string>>,
  { counts, sum }: Timing,
  bounds: readonly number[],
): Sample[] {
  const samples: Sample[] = [];
  let total = 0;
  for (const [at, count] of counts.entries()) {
    total += count;
    samples.push({ metricName: `${name}_bucket`, labels: { le: bounds[at] ?? "+Inf", ...labels }, value: total });
  }
  if (total === 0) return [];
  samples.push({ metricName: `${name}_sum`, labels, value: sum });
  samples.push({ metricName: `${name}_count`, labels, value: total });
  return samples;
}

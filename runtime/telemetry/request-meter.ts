import type { Metrics } from "./metrics.ts";

/** Upper bounds of the buckets, in seconds. */
const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const boundsMs = Float64Array.from(bounds, (seconds) => seconds * 1000);

/** Requests of one kind, as plain numbers: what is counted for every request costs next to nothing. */
export class RequestMeter {
  readonly #codes: number[] = [];
  readonly #counts: number[] = [];
  readonly #buckets = new Float64Array(bounds.length + 1);
  #seconds = 0;

  /** A request was answered with a code after so long. */
  ended(code: number, durationMs: number): void {
    const at = this.#codes.indexOf(code);
    if (at < 0) {
      this.#codes.push(code);
      this.#counts.push(1);
    } else this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    let bucket = 0;
    while (bucket < boundsMs.length && durationMs > (boundsMs[bucket] ?? 0)) bucket += 1;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#seconds += durationMs / 1000;
  }

  /** Requests by code. */
  get counts(): readonly (readonly [code: number, count: number])[] {
    return this.#codes.map((code, at) => [code, this.#counts[at] ?? 0]);
  }

  /** The lines of a histogram in the text format of Prometheus. */
  histogramLines(name: string, labels: string): string[] {
    const lines: string[] = [];
    const prefix = labels === "" ? "" : `${labels},`;
    let count = 0;
    for (const [at, bound] of [...bounds, "+Inf"].entries()) {
      count += this.#buckets[at] ?? 0;
      lines.push(`${name}_bucket{${prefix}le="${bound}"} ${count}`);
    }
    lines.push(`${name}_sum{${labels}} ${this.#seconds}`, `${name}_count{${labels}} ${count}`);
    return lines;
  }
}

export interface RequestMetersOptions {
  /** Of the counter by code, and of the histogram of durations. */
  readonly requests: { readonly name: string; readonly help: string };
  readonly durations: { readonly name: string; readonly help: string };
  readonly labels: readonly string[];
}

/** Meters by the values of their labels; they are written out when Prometheus asks. */
export class RequestMeters {
  readonly #options: RequestMetersOptions;
  readonly #meters = new Map<string, { readonly labels: string; readonly meter: RequestMeter }>();

  constructor(metrics: Metrics, options: RequestMetersOptions) {
    this.#options = options;
    metrics.addText(() => this.#text());
  }

  /** The same meter for the same values, in the order of the labels; "" leaves one out. Keep it: finding it costs more than counting. */
  of(...values: readonly string[]): RequestMeter {
    const key = values.join("\0");
    const known = this.#meters.get(key);
    if (known !== undefined) return known.meter;
    const labels = this.#options.labels
      .flatMap((label, at) => (values[at] ? [`${label}="${escaped(values[at])}"`] : []))
      .join(",");
    const meter = new RequestMeter();
    this.#meters.set(key, { labels, meter });
    return meter;
  }

  #text(): string {
    const { requests, durations } = this.#options;
    const counters = [`# HELP ${requests.name} ${requests.help}`, `# TYPE ${requests.name} counter`];
    const histograms = [`# HELP ${durations.name} ${durations.help}`, `# TYPE ${durations.name} histogram`];
    for (const { labels, meter } of this.#meters.values()) {
      const prefix = labels === "" ? "" : `${labels},`;
      for (const [code, count] of meter.counts) counters.push(`${requests.name}{${prefix}code="${code}"} ${count}`);
      histograms.push(...meter.histogramLines(durations.name, labels));
    }
    return [...counters, "", ...histograms, ""].join("\n");
  }
}

const escaped = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

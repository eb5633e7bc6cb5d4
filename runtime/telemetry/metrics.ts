import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { Tallies } from "./tallies.ts";
import { Timings } from "./timings.ts";

/** The process's metric families; names begin with `outrigger_`. Asking for a family again gives the same one. */
export class Metrics {
  readonly registry = new Registry();
  readonly #plain = new Map<string, Tallies | Timings>();

  counter<Label extends string>(name: string, help: string, labels: readonly Label[] = []): Counter<Label> {
    const known = this.registry.getSingleMetric(name);
    return known instanceof Counter
      ? known
      : new Counter({ name, help, labelNames: [...labels], registers: [this.registry] });
  }

  gauge<Label extends string>(name: string, help: string, labels: readonly Label[] = []): Gauge<Label> {
    const known = this.registry.getSingleMetric(name);
    return known instanceof Gauge
      ? known
      : new Gauge({ name, help, labelNames: [...labels], registers: [this.registry] });
  }

  /** `buckets` are upper bounds; durations are in seconds. */
  histogram<Label extends string>(
    name: string,
    help: string,
    labels: readonly Label[],
    buckets: readonly number[],
  ): Histogram<Label> {
    const known = this.registry.getSingleMetric(name);
    return known instanceof Histogram
      ? known
      : new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers: [this.registry] });
  }

  /** A gauge that is read when somebody asks. */
  reading(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.registry], collect: (): void => gauge.set(read()) });
  }

  /** A counter for hot paths. */
  tallies(name: string, help: string, labels: readonly string[]): Tallies {
    const known = this.#plain.get(name);
    if (known instanceof Tallies) return known;
    const made = new Tallies(this.registry, name, help, labels);
    this.#plain.set(name, made);
    return made;
  }

  /** A histogram for hot paths; `bounds` as those of `histogram`. */
  timings(name: string, help: string, label: string, bounds: readonly number[]): Timings {
    const known = this.#plain.get(name);
    if (known instanceof Timings) return known;
    const made = new Timings(this.registry, name, help, label, bounds);
    this.#plain.set(name, made);
    return made;
  }

  /** The Prometheus text exposition format. */
  expose(): Promise<string> {
    return this.registry.metrics();
  }
}

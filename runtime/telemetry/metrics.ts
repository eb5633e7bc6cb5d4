import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** The process's metric families; names begin with `outrigger_`. Asking for a family again gives the same one. */
export class Metrics {
  readonly registry = new Registry();

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

  /** The Prometheus text exposition format. */
  expose(): Promise<string> {
    return this.registry.metrics();
  }
}

import { proxy_define_metric, proxy_get_metric, proxy_increment_metric, proxy_record_metric } from "./abi";
import { AbiStatus, MetricType } from "./abi-types";
import { lendName, lentName, lentNameSize } from "./lent-text";
import { log } from "./log";
import { returnNumber } from "./memory";

/** A series that the host keeps. It is defined at its first use, since a module may not do so while it starts. */
abstract class Metric {
  private id: u32 = 0;
  private defined: bool = false;
  private refused: bool = false;

  constructor(
    private readonly type: MetricType,
    readonly name: string,
  ) {}

  protected series(): u32 {
    if (!this.defined && !this.refused) {
      lendName(this.name);
      store<u32>(returnNumber, 0);
      const answer = proxy_define_metric(this.type, lentName, lentNameSize, returnNumber);
      this.id = load<u32>(returnNumber);
      this.defined = answer == AbiStatus.Ok;
      this.refused = !this.defined;
      if (this.refused) log.warn("the host refused the metric '" + this.name + "'; it will not be counted");
    }
    return this.id;
  }

  /** Whether the host keeps the series. */
  protected get usable(): bool {
    this.series();
    return this.defined;
  }

  protected read(): u64 {
    if (!this.usable) return 0;
    store<u64>(returnNumber, 0);
    proxy_get_metric(this.id, returnNumber);
    return load<u64>(returnNumber);
  }
}

/**
 * The name of a series with a label, in the way of Istio's plugins: `tagged("answers", "status", "200")`. Put one into another for
 * more labels. Envoy makes a label of it with the regular expression `(status=\\.=(.*?);\\.;)` among its `stats_tags`.
 */
export function tagged(name: string, label: string, value: string): string {
  return label + "=.=" + value + ";.;" + name;
}

/** Counts what happens; it only grows. */
export class Counter extends Metric {
  constructor(name: string) {
    super(MetricType.Counter, name);
  }

  /** Counts `by` more. */
  increment(by: u32 = 1): void {
    if (by > 0 && this.usable) proxy_increment_metric(this.series(), by);
  }

  /** What was counted so far, by all instances of the plugin. */
  get value(): u64 {
    return this.read();
  }
}

/** Holds a number that goes up and down. */
export class Gauge extends Metric {
  constructor(name: string) {
    super(MetricType.Gauge, name);
  }

  /** Makes it that number. */
  set(value: u64): void {
    if (this.usable) proxy_record_metric(this.series(), value);
  }

  /** Adds to it; what is negative is taken away. */
  add(delta: i64): void {
    if (this.usable) proxy_increment_metric(this.series(), delta);
  }

  /** What it is now. */
  get value(): u64 {
    return this.read();
  }
}

/** Holds the distribution of numbers, such as sizes or durations; put the unit into the name. */
export class Histogram extends Metric {
  constructor(name: string) {
    super(MetricType.Histogram, name);
  }

  /** Counts a number in. */
  record(value: u64): void {
    if (this.usable) proxy_record_metric(this.series(), value);
  }
}

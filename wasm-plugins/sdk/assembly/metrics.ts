import { proxy_define_metric, proxy_get_metric, proxy_increment_metric, proxy_record_metric } from "./abi";
import { AbiStatus, MetricType } from "./abi-types";
import { lentName } from "./lent-text";
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
      lentName.lend(this.name);
      store<u32>(returnNumber, 0);
      const answer = proxy_define_metric(this.type, lentName.start, lentName.size, returnNumber);
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

/** Counts what happens; it only grows. */
export class Counter extends Metric {
  constructor(name: string) {
    super(MetricType.Counter, name);
  }

  increment(by: u32 = 1): void {
    if (by > 0 && this.usable) proxy_increment_metric(this.series(), by);
  }

  get value(): u64 {
    return this.read();
  }
}

/** Holds a number that goes up and down. */
export class Gauge extends Metric {
  constructor(name: string) {
    super(MetricType.Gauge, name);
  }

  set(value: u64): void {
    if (this.usable) proxy_record_metric(this.series(), value);
  }

  add(delta: i64): void {
    if (this.usable) proxy_increment_metric(this.series(), delta);
  }

  get value(): u64 {
    return this.read();
  }
}

/** Holds the distribution of numbers, such as sizes or durations; put the unit into the name. */
export class Histogram extends Metric {
  constructor(name: string) {
    super(MetricType.Histogram, name);
  }

  record(value: u64): void {
    if (this.usable) proxy_record_metric(this.series(), value);
  }
}

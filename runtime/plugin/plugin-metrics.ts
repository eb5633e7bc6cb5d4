import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Metrics } from "../telemetry/metrics.ts";
import { type Sample, samplesOf, Timing } from "../telemetry/timings.ts";
import type { MetricType, PluginMetrics } from "./guest-metrics.ts";
import { type MetricTag, MetricTagger } from "./metric-tags.ts";

const defaultMaxSeries = 1_000;
const maxNameLength = 256;
/** Fuel for a new series. */
const seriesCost = 30_000;
/** Upper bounds that suit milliseconds, bytes in thousands and counts alike: a guest does not say what it measures. */
const buckets = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6];

export interface PluginMetricsOptions {
  readonly maxSeriesPerPlugin?: number;
  /** `plugins.metricTags` of the configuration. */
  readonly tags?: readonly MetricTag[];
  /** Told when the regular expression of a tag takes too long for a name of a plugin; it is not used for that plugin again. */
  readonly slow?: (plugin: string, tag: string) => void;
}

/** One family in the exposition, `outrigger_plugin_<name>`. */
interface Family {
  readonly type: MetricType;
  /** By their labels. */
  readonly series: Map<string, Series>;
}

/** Plain numbers until they are scraped, so that a guest's increment costs an addition. */
interface Series {
  readonly type: MetricType;
  readonly labels: Readonly<Record<string, string>>;
  value: number;
  /** Of a histogram. */
  readonly observed: Timing | undefined;
}

/**
 * The metrics that plugins define. A series belongs to a plugin by name: its instances and versions go on counting in the
 * same one. Names are made fit for Prometheus (`wasmcustom.foo` is `outrigger_plugin_wasmcustom_foo`) and labelled `plugin`,
 * and with what their tags say.
 */
export class PluginMetricsStore {
  readonly #registry: Registry;
  readonly #options: PluginMetricsOptions;
  readonly #families = new Map<string, Family>();
  /** By type and the name that was wanted. */
  readonly #chosen = new Map<string, Family>();
  readonly #plugins = new Map<string, PluginMetrics>();

  constructor(metrics: Metrics, options: PluginMetricsOptions = {}) {
    this.#registry = metrics.registry;
    this.#options = options;
  }

  /** The metrics of the plugin of that name. */
  of(plugin: string): PluginMetrics {
    const known = this.#plugins.get(plugin) ?? this.#metricsOf(plugin);
    this.#plugins.set(plugin, known);
    return known;
  }

  #metricsOf(plugin: string): PluginMetrics {
    const { maxSeriesPerPlugin: maxSeries = defaultMaxSeries, tags = [], slow } = this.#options;
    let tagger: MetricTagger | undefined;
    const ids = new Map<string, number>();
    const series: Series[] = [];
    const find = (id: number): Series => {
      const found = series[id - 1];
      if (found === undefined) throw new RangeError(`plugin '${plugin}' has no metric with the id ${id}`);
      return found;
    };
    return {
      define: (type, name, pay) => {
        const key = `${type} ${name}`;
        const known = ids.get(key);
        if (known !== undefined) return known;
        if (name === "" || name.length > maxNameLength) {
          throw new RangeError(`a metric's name has 1 to ${maxNameLength} characters, this one ${name.length}`);
        }
        if (series.length >= maxSeries) {
          throw new RangeError(`plugin '${plugin}' has ${series.length} metrics already and may not define more`);
        }
        tagger ??= new MetricTagger(tags, (tag) => slow?.(plugin, tag));
        pay?.(seriesCost + tagger.costOf(name));
        const { name: rest, labels } = tagger.of(name);
        const id = series.push(this.#series(type, rest, { plugin, ...labels }));
        ids.set(key, id);
        return id;
      },
      typeOf: (id) => series[id - 1]?.type,
      get: (id) => find(id).value,
      increment: (id, delta) => {
        const one = find(id);
        if (one.type === "counter" && !(delta >= 0)) throw new RangeError("a counter does not go down");
        if (one.observed !== undefined) one.observed.observe(delta);
        else one.value += delta;
      },
      record: (id, value) => {
        const one = find(id);
        if (one.type === "gauge") one.value = value;
        else if (one.observed !== undefined) one.observed.observe(value);
        else if (value >= 0) one.value += value;
        else throw new RangeError("a counter does not go down");
      },
    };
  }

  #series(type: MetricType, name: string, labels: Readonly<Record<string, string>>): Series {
    const { series } = this.#family(type, `outrigger_plugin_${name.replace(/[^A-Za-z0-9_:]/g, "_")}`);
    const key = JSON.stringify(labels);
    const known = series.get(key);
    if (known !== undefined) return known;
    const made: Series = { type, labels, value: 0, observed: type === "histogram" ? new Timing(buckets) : undefined };
    series.set(key, made);
    return made;
  }

  /**
   * The family of that name and type. A name that is taken by another type, or by the runtime, gets its type appended, and a
   * number when that is taken, too: nobody can keep a name from others.
   */
  #family(type: MetricType, wanted: string): Family {
    const key = `${type} ${wanted}`;
    const known = this.#chosen.get(key);
    if (known !== undefined) return known;
    let name = wanted;
    for (let count = 1; !this.#isFor(type, name); count += 1)
      name = count === 1 ? `${wanted}_${type}` : `${wanted}_${type}_${count}`;
    const family = this.#families.get(name) ?? openFamily(type, name, this.#registry);
    this.#families.set(name, family);
    this.#chosen.set(key, family);
    return family;
  }

  #isFor(type: MetricType, name: string): boolean {
    const known = this.#families.get(name);
    if (known !== undefined) return known.type === type;
    const exposed = type === "histogram" ? [name, ...histogramSuffixes.map((suffix) => `${name}${suffix}`)] : [name];
    return exposed.every((one) => this.#registry.getSingleMetric(one) === undefined && !this.#isPart(one));
  }

  /** Whether a histogram exposes it: `lat_count` of `lat`. */
  #isPart(name: string): boolean {
    const suffix = histogramSuffixes.find((one) => name.endsWith(one));
    const whole = suffix === undefined ? undefined : this.#registry.getSingleMetric(name.slice(0, -suffix.length));
    return whole instanceof Histogram;
  }
}

const histogramSuffixes = ["_count", "_sum", "_bucket"];
const kinds = { counter: Counter, gauge: Gauge, histogram: Histogram } as const;

function openFamily(type: MetricType, name: string, registry: Registry): Family {
  const series = new Map<string, Series>();
  const help = "Defined by plugins.";
  const metric = new kinds[type]({ name, help, registers: [registry] });
  const samples = (): Sample[] =>
    [...series.values()].flatMap(({ labels, value, observed }) =>
      observed === undefined ? [{ labels, value }] : samplesOf(name, labels, observed, buckets),
    );
  // The labels of a family's series differ, which prom-client's own values may not.
  const get = async () => ({ name, help, type, aggregator: "sum", values: samples() });
  Object.assign(metric, { get, getForPromString: get, reset: () => series.clear() });
  return { type, series };
}

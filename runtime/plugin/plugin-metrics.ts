import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Metrics } from "../telemetry/metrics.ts";
import type { MetricType, PluginMetrics } from "./contract.ts";

const defaultMaxSeries = 1_000;
const maxNameLength = 256;
/** Upper bounds that suit milliseconds, bytes in thousands and counts alike: a guest does not say what it measures. */
const buckets = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6];

/** One family in the exposition, `outrigger_plugin_<name>`; a series for each plugin that defined it. */
interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly series: Map<string, Series>;
  observe(plugin: string, value: number): void;
}

interface Series {
  readonly type: MetricType;
  value: number;
  observe(value: number): void;
}

/**
 * The metrics that plugins define. A series belongs to a plugin by name: its instances and versions go on counting in the
 * same one. Names are made fit for Prometheus (`wasmcustom.foo` is `outrigger_plugin_wasmcustom_foo`) and labelled `plugin`.
 */
export class PluginMetricsStore {
  readonly #registry: Registry;
  readonly #maxSeries: number;
  readonly #families = new Map<string, Family>();
  readonly #plugins = new Map<string, PluginMetrics>();

  constructor(metrics: Metrics, options: { readonly maxSeriesPerPlugin?: number } = {}) {
    this.#registry = metrics.registry;
    this.#maxSeries = options.maxSeriesPerPlugin ?? defaultMaxSeries;
  }

  /** The metrics of the plugin of that name. */
  of(plugin: string): PluginMetrics {
    const known = this.#plugins.get(plugin) ?? this.#metricsOf(plugin);
    this.#plugins.set(plugin, known);
    return known;
  }

  #metricsOf(plugin: string): PluginMetrics {
    const ids = new Map<string, number>();
    const series: Series[] = [];
    const find = (id: number): Series => {
      const found = series[id - 1];
      if (found === undefined) throw new RangeError(`plugin '${plugin}' has no metric with the id ${id}`);
      return found;
    };
    return {
      define: (type, name) => {
        const key = `${type} ${name}`;
        const known = ids.get(key);
        if (known !== undefined) return known;
        if (name === "" || name.length > maxNameLength) {
          throw new RangeError(`a metric's name has 1 to ${maxNameLength} characters, this one ${name.length}`);
        }
        if (series.length >= this.#maxSeries) {
          throw new RangeError(`plugin '${plugin}' has ${series.length} metrics already and may not define more`);
        }
        const id = series.push(this.#series(plugin, type, name));
        ids.set(key, id);
        return id;
      },
      typeOf: (id) => series[id - 1]?.type,
      get: (id) => find(id).value,
      increment: (id, delta) => {
        const one = find(id);
        if (one.type === "counter" && !(delta >= 0)) throw new RangeError("a counter does not go down");
        if (one.type === "histogram") one.observe(delta);
        else one.value += delta;
      },
      record: (id, value) => {
        const one = find(id);
        if (one.type === "gauge") one.value = value;
        else if (one.type === "histogram") one.observe(value);
        else if (value >= 0) one.value += value;
        else throw new RangeError("a counter does not go down");
      },
    };
  }

  #series(plugin: string, type: MetricType, name: string): Series {
    const family = this.#family(type, `outrigger_plugin_${name.replace(/[^A-Za-z0-9_:]/g, "_")}`);
    const known = family.series.get(plugin);
    if (known !== undefined) return known;
    const made: Series = { type, value: 0, observe: (value) => family.observe(plugin, value) };
    family.series.set(plugin, made);
    return made;
  }

  /** The family of that name and type. A name that is taken by another type, or by the runtime, gets its type appended. */
  #family(type: MetricType, wanted: string): Family {
    for (const name of [wanted, `${wanted}_${type}`]) {
      const known = this.#families.get(name);
      if (known?.type === type) return known;
      if (known !== undefined || this.#registry.getSingleMetric(name) !== undefined) continue;
      const family = openFamily(type, name, this.#registry);
      this.#families.set(name, family);
      return family;
    }
    throw new RangeError(`the names ${wanted} and ${wanted}_${type} are taken by other metrics`);
  }
}

/** Counters and gauges are plain numbers until they are scraped, so that a guest's increment costs an addition. */
function openFamily(type: MetricType, name: string, registry: Registry): Family {
  const series = new Map<string, Series>();
  const settings = { name, help: "Defined by plugins.", labelNames: ["plugin"] as const, registers: [registry] };
  if (type === "histogram") {
    const histogram = new Histogram({ ...settings, buckets });
    return { name, type, series, observe: (plugin, value) => histogram.observe({ plugin }, value) };
  }
  if (type === "counter") {
    new Counter({
      ...settings,
      collect() {
        this.reset();
        for (const [plugin, { value }] of series) this.inc({ plugin }, value);
      },
    });
  } else {
    new Gauge({
      ...settings,
      collect() {
        for (const [plugin, { value }] of series) this.set({ plugin }, value);
      },
    });
  }
  return { name, type, series, observe: () => {} };
}

import { Counter, Gauge, Histogram } from "prom-client";
import type { Metrics } from "../telemetry/metrics.ts";
import type { CallbackTimings } from "./contract.ts";
import type { PluginError } from "./plugin-error.ts";
import type { PluginTotals } from "./status.ts";

/** What the runtime counts of every plugin. */
export interface LifecycleMetrics extends Disposable {
  trapped(plugin: string, error: PluginError): void;
  deployed(plugin: string, result: "deployed" | "refused" | "removed"): void;
  /** What takes the time of the plugin's callbacks. */
  timingsOf(plugin: string): CallbackTimings;
}

type Totals = () => Iterable<readonly [plugin: string, totals: PluginTotals]>;

const prefix = "outrigger_plugin_";

const counted: readonly (readonly [name: string, help: string, key: keyof PluginTotals])[] = [
  ["calls_total", "Callbacks run.", "calls"],
  ["fuel_total", "Instructions executed.", "fuel"],
  ["created_total", "Instances started.", "created"],
  ["reloads_total", "Instances started in place of one that had crashed.", "reloads"],
];

const measured: typeof counted = [
  ["instances", "Started instances, spares included.", "instances"],
  ["streams", "Streams that have not ended.", "streams"],
  ["memory_bytes", "Linear memory of all instances.", "memoryBytes"],
  ["memory_largest_bytes", "Linear memory of the largest instance.", "largestMemoryBytes"],
  ["memory_limit_bytes", "Most linear memory that an instance may have.", "memoryLimitBytes"],
  [
    "budget_used_ratio",
    "The largest share of its budget (limits.budget) that a callback used in the last minute, or since the last scrape.",
    "budgetShare",
  ],
];

/** One callback in so many is timed: a prime, so that the same callback of every stream is not the one. */
const sampled = 61;
const seconds = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.05, 0.25, 1];

/** Registers the families; what `totals` tells is read when it is scraped. */
export function openLifecycleMetrics({ registry }: Metrics, totals: Totals): LifecycleMetrics {
  const registers = [registry];
  const labelNames = ["plugin"] as const;
  const names: string[] = [];
  const named = (name: string): string => {
    names.push(`${prefix}${name}`);
    return `${prefix}${name}`;
  };
  for (const [name, help, key] of counted) {
    new Counter({
      name: named(name),
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [plugin, sum] of totals()) this.inc({ plugin }, sum[key]);
      },
    });
  }
  for (const [name, help, key] of measured) {
    new Gauge({
      name: named(name),
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [plugin, sum] of totals()) this.set({ plugin }, sum[key]);
      },
    });
  }
  const traps = new Counter({
    name: named("traps_total"),
    help: "Crashes of guests, by what ended them.",
    labelNames: ["plugin", "fault"],
    registers,
  });
  const deploys = new Counter({
    name: named("deploys_total"),
    help: "Deploys and removals, by how they ended.",
    labelNames: ["plugin", "result"],
    registers,
  });
  const durations = new Histogram({
    name: named("callback_duration_seconds"),
    help: `Time in a callback, waits for the host included; of one callback in ${sampled}.`,
    labelNames: ["plugin", "callback"],
    buckets: seconds,
    registers,
  });
  const timings = new Map<string, CallbackTimings>();
  return {
    trapped: (plugin, { fault }) => traps.inc({ plugin, fault }),
    deployed: (plugin, result) => deploys.inc({ plugin, result }),
    timingsOf(plugin) {
      const known = timings.get(plugin) ?? new SampledTimings(plugin, durations);
      timings.set(plugin, known);
      return known;
    },
    [Symbol.dispose]: () => {
      for (const name of names) registry.removeSingleMetric(name);
    },
  };
}

/** The timings of one plugin, whatever its instances. */
class SampledTimings implements CallbackTimings {
  readonly #plugin: string;
  readonly #durations: Histogram<"plugin" | "callback">;
  readonly #byCallback = new Map<string, { observe(value: number): void }>();
  #untilNext = 1;

  constructor(plugin: string, durations: Histogram<"plugin" | "callback">) {
    this.#plugin = plugin;
    this.#durations = durations;
  }

  isDue(): boolean {
    this.#untilNext -= 1;
    if (this.#untilNext > 0) return false;
    this.#untilNext = sampled;
    return true;
  }

  took(callback: string, ms: number): void {
    this.#of(callback).observe(ms / 1_000);
  }

  #of(callback: string): { observe(value: number): void } {
    const known = this.#byCallback.get(callback);
    if (known !== undefined) return known;
    const labels = { plugin: this.#plugin, callback: callback.replace(/^proxy_on_/, "") };
    const series = this.#durations.labels(labels);
    this.#byCallback.set(callback, series);
    return series;
  }
}

import { Counter, Gauge } from "prom-client";
import type { Metrics } from "../telemetry/metrics.ts";
import type { PluginError } from "./plugin-error.ts";
import type { PluginTotals } from "./plugin-tally.ts";

/** What the runtime counts of every plugin. */
export interface LifecycleMetrics extends Disposable {
  trapped(plugin: string, error: PluginError): void;
  deployed(plugin: string, result: "deployed" | "refused" | "removed"): void;
}

type Totals = () => Iterable<readonly [plugin: string, totals: PluginTotals]>;

/** Registers the families; what `totals` tells is read when it is scraped. */
export function openLifecycleMetrics({ registry }: Metrics, totals: Totals): LifecycleMetrics {
  const labelNames = ["plugin"] as const;
  const registers = [registry];
  const counted = (name: string, help: string, key: "calls" | "fuel"): Counter<"plugin"> =>
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [plugin, sum] of totals()) this.inc({ plugin }, sum[key]);
      },
    });
  const measured = (name: string, help: string, key: "instances" | "streams"): Gauge<"plugin"> =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [plugin, sum] of totals()) this.set({ plugin }, sum[key]);
      },
    });
  const traps = new Counter({
    name: "outrigger_plugin_traps_total",
    help: "Crashes of guests, by what ended them.",
    labelNames: ["plugin", "fault"],
    registers,
  });
  const deploys = new Counter({
    name: "outrigger_plugin_deploys_total",
    help: "Deploys and removals, by how they ended.",
    labelNames: ["plugin", "result"],
    registers,
  });
  counted("outrigger_plugin_calls_total", "Callbacks run.", "calls");
  counted("outrigger_plugin_fuel_total", "Instructions executed.", "fuel");
  measured("outrigger_plugin_instances", "Started instances, spares included.", "instances");
  measured("outrigger_plugin_streams", "Streams that have not ended.", "streams");
  return {
    trapped: (plugin, { fault }) => traps.inc({ plugin, fault }),
    deployed: (plugin, result) => deploys.inc({ plugin, result }),
    [Symbol.dispose]: () => {
      for (const family of ["calls_total", "fuel_total", "instances", "streams", "traps_total", "deploys_total"]) {
        registry.removeSingleMetric(`outrigger_plugin_${family}`);
      }
    },
  };
}

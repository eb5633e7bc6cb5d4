export type MetricType = "counter" | "gauge" | "histogram";

/** Series of one plugin, named by it and labelled with its name by the host. */
export interface PluginMetrics {
  /**
   * The id of the series, the same for the same name. Throws RangeError when the plugin has too many, or a name is not acceptable.
   * `pay` is told what a new name costs, in fuel, before the work is done.
   */
  define(type: MetricType, name: string, pay?: (fuel: number) => void): number;
  typeOf(id: number): MetricType | undefined;
  record(id: number, value: number): void;
  increment(id: number, delta: number): void;
  get(id: number): number;
}

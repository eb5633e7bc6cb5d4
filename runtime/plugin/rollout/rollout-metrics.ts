import { Counter, Gauge } from "prom-client";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { TrialStatus } from "../status.ts";
import type { HistoryEntry } from "../versions.ts";

/** What the runtime counts of trials. */
export interface RolloutMetrics extends Disposable {
  happened(entry: HistoryEntry): void;
}

type Trials = () => Iterable<readonly [plugin: string, trial: TrialStatus]>;

const prefix = "outrigger_plugin_rollout_";

/** Registers the families; what `trials` tells is read when it is scraped. */
export function openRolloutMetrics({ registry }: Metrics, trials: Trials): RolloutMetrics {
  const registers = [registry];
  new Gauge({
    name: `${prefix}percent`,
    help: "Share of the streams that the version on trial takes, matches of a header or cookie aside; no series without a trial.",
    labelNames: ["plugin"] as const,
    registers,
    collect() {
      this.reset();
      for (const [plugin, { percent }] of trials()) this.set({ plugin }, percent);
    },
  });
  new Gauge({
    name: `${prefix}failed_ratio`,
    help: "Share of the streams that failed during the trial, of the stable version and of the one on trial.",
    labelNames: ["plugin", "version"] as const,
    registers,
    collect() {
      this.reset();
      for (const [plugin, trial] of trials()) {
        for (const version of ["stable", "candidate"] as const) {
          const { streams, failed } = trial[version];
          this.set({ plugin, version }, streams === 0 ? 0 : failed / streams);
        }
      }
    },
  });
  const steps = new Counter({
    name: `${prefix}steps_total`,
    help: "What was done to versions, by whom: by hand or by the sidecar itself.",
    labelNames: ["plugin", "action", "by"] as const,
    registers,
  });
  return {
    happened: ({ plugin, action, by, outcome }) => {
      if (outcome === "done") steps.inc({ plugin, action, by: by === "rollout" ? "itself" : "hand" });
    },
    [Symbol.dispose]: () => {
      for (const name of ["percent", "failed_ratio", "steps_total"]) registry.removeSingleMetric(`${prefix}${name}`);
    },
  };
}

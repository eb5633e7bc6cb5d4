/** What runs under one plugin's name, put together. It loads with the first plugin that is deployed, restored or used. */
import { messageOf } from "../../components/thrown.ts";
import { defaultCrashLimits } from "./crash-budget.ts";
import type { LifecycleMetrics } from "./lifecycle-metrics.ts";
import { PluginSlot, type SlotOptions } from "./plugin-slot.ts";
import type { PreparedPlugin } from "./prepare.ts";
import type { PluginRegistryOptions } from "./registry.ts";
import { Release } from "./release.ts";

/** What a slot is told by the registry that has it, and tells it. */
export interface SlotTerms
  extends Pick<SlotOptions, "name" | "grants" | "prepare" | "emptied" | "happened" | "deployed"> {
  readonly metrics: LifecycleMetrics;
}

const defaultDrainMs = 300_000;
const defaultCloseMs = 1_000;
const defaultKeep = 3;

export function openSlot(options: PluginRegistryOptions, { metrics, ...terms }: SlotTerms): PluginSlot {
  const { name } = terms;
  const { drainMs = defaultDrainMs, closeMs = defaultCloseMs, store, keep = defaultKeep, log } = options;
  const slot: PluginSlot = new PluginSlot({
    ...terms,
    release: (prepared) => openRelease(slot, prepared, metrics, options),
    store,
    keep: store === undefined ? Math.min(keep, 1) : keep,
    drainMs,
    closeMs,
    lacks: async (manifest) => options.requires?.(manifest),
    switched: (manifest) => options.switched?.(name, manifest),
    failed: (error) => log.error({ plugin: name }, messageOf(error)),
  });
  return slot;
}

function openRelease(
  slot: PluginSlot,
  prepared: PreparedPlugin,
  metrics: LifecycleMetrics,
  { services, crashLimits = defaultCrashLimits, log }: PluginRegistryOptions,
): Release {
  const { name, version, kind, vmId, capabilities } = prepared.manifest;
  const release: Release = new Release(prepared, {
    services: services({ name, version, kind, vmId, capabilities }),
    tally: slot.tally,
    timings: metrics.timingsOf(name),
    crashLimits,
    now: () => performance.now(),
    replacesAtOnce: (configuration) => slot.replacesAtOnce(release, configuration),
    crashed: (error, consequence) => {
      slot.tally.trapped();
      metrics.trapped(name, error);
      log.error({ plugin: name, version, fault: error.fault }, `${error.message}; ${consequence}`);
      slot.crashed(release, error);
    },
  });
  return release;
}

/** The operations on plugins, which load with the first request for one. */
import type { PluginAdministration } from "./admin/admin.ts";
import type { Configuration } from "./config/schema.ts";
import { Deployments, type DeploymentsOptions } from "./plugin/deployments.ts";
import { LayottoDeployments } from "./plugin/layotto-deployments.ts";
import type { PluginRegistry } from "./plugin/registry.ts";
import { maxModuleBytes } from "./plugin/sandbox/module-limit.ts";
import { Uploads } from "./plugin/uploads.ts";
import type { DiskVersionStore } from "./plugin/version-store.ts";
import { type PluginDisk, uploadsOf } from "./plugin-disk.ts";

const uploadIdleMs = 10_000;

/** The operations on plugins, as the admin API and Layotto's routes offer them; once for each disk. */
export async function openDeployments(
  { folder, store, claim }: PluginDisk,
  registry: PluginRegistry,
  settings: () => Configuration["plugins"],
): Promise<PluginAdministration> {
  const limits = { maxBytes: maxModuleBytes, idleMs: uploadIdleMs, claim };
  const uploads = await Uploads.open(uploadsOf(folder), limits);
  return {
    deployments: new Deployments({ operations: registry, settings, folder, uploads, store: inEffect(registry, store) }),
    functions: new LayottoDeployments({ operations: registry, nameOf: (id) => registry.nameOf(id), store, settings }),
  };
}

/** What is kept, with the versions as they are, which a full disk may not have taken yet. */
const inEffect = (registry: PluginRegistry, store: DiskVersionStore): DeploymentsOptions["store"] => ({
  record: (plugin) => registry.record(plugin) ?? store.record(plugin),
  history: (limit, plugin) => store.history(limit, plugin),
  log: (entry) => store.log(entry),
});

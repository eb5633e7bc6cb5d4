import type { Configuration } from "../config/schema.ts";
import type { PluginUse, UseOptions } from "../plugin/contract.ts";

type FilterConfiguration = Configuration["ingress"]["filters"][number];

/** The uses of plugins that a list of filters in the configuration asks for, in its order. */
export async function usesOf(
  filters: readonly FilterConfiguration[],
  use: (plugin: string, options: UseOptions) => Promise<PluginUse>,
): Promise<PluginUse[]> {
  const uses: PluginUse[] = [];
  for (const filter of filters) {
    const configuration = "configuration" in filter ? { configuration: filter.configuration } : {};
    const fail = "fail" in filter && filter.fail !== undefined ? { fail: filter.fail } : {};
    uses.push(await use(filter.plugin, { ...configuration, ...fail }));
  }
  return uses;
}

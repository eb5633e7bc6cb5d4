import type { StreamHost } from "../../plugin/contract.ts";
import { PluginError } from "../../plugin/plugin-error.ts";
import type { Guest } from "../provider.ts";

/** Tells a stream that it failed, unless it was told: a guest that is gone has told its own. */
export function failStream(guest: Guest, host: StreamHost, error: unknown): void {
  if (error instanceof PluginError) return;
  const { name, version } = guest.host.program;
  const why = error instanceof Error ? error.message : "it threw what its world has no word for";
  host.failed(new PluginError(name, version, "trap", `plugin '${name}' ${version} failed: ${why}`, { cause: error }));
}

import { suggestion } from "../config/nearest.ts";
import type { PluginStatus } from "../plugin/status.ts";
import type { AdminClient, Asked } from "./admin-client.ts";
import { CommandError, exitCodes } from "./command-error.ts";
import { printable } from "./printable.ts";

/** Every plugin that the sidecar knows. */
export async function listPlugins(client: AdminClient, signal?: AbortSignal): Promise<readonly PluginStatus[]> {
  const list = await client.json({ path: "/v1/plugins", ...(signal !== undefined && { signal }) });
  if (!Array.isArray(list)) throw client.foreign();
  return list as readonly PluginStatus[];
}

/** What the admin API answers about a plugin; when there is no such plugin, the error names the nearest one. */
export async function askAbout(client: AdminClient, name: string, asked: Asked): Promise<unknown> {
  await requirePlugin(client, name);
  return client.json(asked);
}

/** Rejects with the nearest name when there is no such plugin. */
export async function requirePlugin(client: AdminClient, name: string): Promise<void> {
  const names = (await listPlugins(client)).map((one) => one.name);
  if (!names.includes(name)) throw unknownPlugin(name, names);
}

function unknownPlugin(name: string, names: readonly string[]): CommandError {
  const known = names.length === 0 ? "none is deployed" : suggestion(name, names);
  return new CommandError(exitCodes.failed, `no plugin is named '${printable(name)}'; ${known}`);
}

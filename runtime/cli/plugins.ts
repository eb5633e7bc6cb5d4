import type { PluginStatus } from "../plugin/status.ts";
import { fetchAdmin } from "./fetch-admin.ts";
import { table } from "./table.ts";

/** `outrigger plugins`: what is deployed in the running sidecar. */
export async function plugins(admin: string, out: (line: string) => void): Promise<number> {
  const statuses = (await fetchAdmin(admin, "/v1/plugins")) as readonly PluginStatus[];
  const columns = ["INSTANCES", "STREAMS", "CALLS", "TRAPS", "FUEL", "MEMORY", "BUDGET"];
  const header = ["NAME", "VERSION", "DIGEST", "KIND", "STATE", ...columns];
  const rows = statuses.map((one) => [
    one.name,
    one.version,
    one.digest.replace(/^sha256:/, "").slice(0, 12),
    one.kind,
    one.state,
    ...[one.instances, one.streams, one.calls, one.traps, one.fuel].map(String),
    `${rounded(one.memoryBytes / 1024 ** 2)}Mi`,
    `${rounded(one.budgetShare * 100)}%`,
  ]);
  out(table([header, ...rows]));
  for (const { name, reason } of statuses) if (reason !== undefined) out(`${name}: ${reason}`);
  return 0;
}

/** With one decimal, unless that says no more than none. */
const rounded = (value: number): string => String(Math.round(value * 10) / 10);

import type { HistoryEntry } from "../plugin/versions.ts";
import { type CommandCall, nameOf, numberOf, pathOf, reader } from "./command-call.ts";
import { exitCodes } from "./command-error.ts";
import { requirePlugin } from "./known-plugin.ts";
import { printable, shortDigest } from "./printable.ts";
import { jsonText, timeText } from "./status-text.ts";
import { table } from "./table.ts";

/** `outrigger history NAME`: who did what with a plugin, also one that is gone. */
export async function history(call: CommandCall): Promise<number> {
  const name = nameOf(call);
  const limit = numberOf(call, "limit", 1, 1_000) ?? 100;
  const client = reader(call);
  const entries = (await client.json({ path: pathOf(name, `/history?limit=${limit}`) })) as readonly HistoryEntry[];
  if (entries.length === 0) await requirePlugin(client, name);
  if (call.is("json")) {
    call.out(jsonText(entries));
    return exitCodes.done;
  }
  const rows = entries.map(({ at, action, version, digest, by, outcome, reason = "" }) =>
    [timeText(at), action, version, shortDigest(digest), by, outcome, reason].map(printable),
  );
  call.out(table([["TIME", "ACTION", "VERSION", "DIGEST", "BY", "OUTCOME", "REASON"], ...rows]));
  return exitCodes.done;
}

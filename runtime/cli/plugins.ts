import type { KnownVersion } from "../plugin/deployments.ts";
import type { PluginStatus } from "../plugin/status.ts";
import type { AdminClient } from "./admin-client.ts";
import { type CommandCall, pathOf, reader } from "./command-call.ts";
import { exitCodes } from "./command-error.ts";
import { askAbout, listPlugins } from "./known-plugin.ts";
import { printable, shortDigest } from "./printable.ts";
import { jsonText, observedText, outcomeText, timeText, trialText } from "./status-text.ts";
import { table } from "./table.ts";

/** `outrigger plugins [NAME]`: what is deployed in the running sidecar, or all that is known of one plugin. */
export async function plugins(call: CommandCall): Promise<number> {
  const client = reader(call);
  const [name] = call.words;
  const found = name === undefined ? await listPlugins(client) : await one(client, name);
  if (call.is("json")) call.out(jsonText(found));
  else if ("name" in found) call.out(await details(client, found));
  else overview(found, call.out);
  return exitCodes.done;
}

const one = async (client: AdminClient, name: string): Promise<PluginStatus> =>
  (await askAbout(client, name, { path: pathOf(name) })) as PluginStatus;

function overview(statuses: readonly PluginStatus[], out: CommandCall["out"]): void {
  const columns = ["INSTANCES", "STREAMS", "CALLS", "TRAPS", "FUEL", "MEMORY", "BUDGET"];
  const header = ["NAME", "VERSION", "DIGEST", "KIND", "STATE", ...columns];
  const rows = statuses.map((one) => [
    printable(one.name),
    printable(one.version),
    shortDigest(one.digest),
    one.kind,
    one.state,
    ...[one.instances, one.streams, one.calls, one.traps, one.fuel].map(String),
    ...[memoryText(one.memoryBytes), budgetText(one.budgetShare)],
  ]);
  out(table([header, ...rows]));
  for (const { name, reason, trial } of statuses) {
    if (reason !== undefined) out(printable(`${name}: ${reason}`));
    if (trial !== undefined) out(printable(`${name}: ${trial.version} is ${trialText(trial)}`));
  }
}

async function details(client: AdminClient, status: PluginStatus): Promise<string> {
  const { name, trial, lastTrial, subscriptions = [], schedules = [] } = status;
  const versions = (await client.json({ path: pathOf(name, "/versions") })) as readonly KnownVersion[];
  const rows: (readonly [string, string | undefined])[] = [
    ["name", name],
    ["version", status.version],
    ["digest", status.digest],
    ["kind", status.kind],
    ["engine", status.engine === "" ? undefined : status.engine],
    ["state", status.state],
    ["reason", status.reason],
    ["not kept", status.unkept],
    ["trial", trial === undefined ? undefined : `${trial.version} is ${trialText(trial)}`],
    ["", trial === undefined ? undefined : `${trial.version}: ${observedText(trial.candidate)}`],
    ["", trial === undefined ? undefined : `stable: ${observedText(trial.stable)}`],
    ["last trial", lastTrial === undefined ? undefined : `${lastTrial.version} was ${outcomeText(lastTrial)}`],
    ["instances", `${status.instances}, of ${status.created} started and ${status.reloads} started anew`],
    ["streams", String(status.streams)],
    ["calls", `${status.calls}, ${status.traps} trapped`],
    ["fuel", String(status.fuel)],
    [
      "memory",
      `${memoryText(status.memoryBytes)}, the largest ${memoryText(status.largestMemoryBytes)} of ${memoryText(status.memoryLimitBytes)}`,
    ],
    ["budget", budgetText(status.budgetShare)],
    ...subscriptions.map(({ pubsub, topic, path }) => ["topic", `${topic} of ${pubsub}, to ${path}`] as const),
    ...schedules.map(
      ({ name, cron, timeZone, path }) => ["schedule", `${name}: ${cron} (${timeZone}), to ${path}`] as const,
    ),
  ];
  const lines = rows.flatMap(([key, value]) => (value === undefined ? [] : [`${key.padEnd(10)} ${printable(value)}`]));
  return versions.length === 0 ? lines.join("\n") : `${lines.join("\n")}\n\n${versionsText(versions)}`;
}

function versionsText(versions: readonly KnownVersion[]): string {
  const rows = versions.map(({ role, version, digest, deployedAt, by, origin }) =>
    [role, version, shortDigest(digest), timeText(deployedAt), by, origin].map(printable),
  );
  return table([["ROLE", "VERSION", "DIGEST", "DEPLOYED", "BY", "ORIGIN"], ...rows]);
}

const memoryText = (bytes: number): string => `${rounded(bytes / 1024 ** 2)}Mi`;
const budgetText = (share: number): string => `${rounded(share * 100)}%`;

/** With one decimal, unless that says no more than none. */
const rounded = (value: number): string => String(Math.round(value * 10) / 10);

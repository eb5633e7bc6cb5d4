import { setTimeout as delay } from "node:timers/promises";
import type { PluginStatus } from "../plugin/status.ts";
import type { HistoryEntry } from "../plugin/versions.ts";
import type { AdminClient } from "./admin-client.ts";
import { pathOf } from "./command-call.ts";
import { type ExitCode, exitCodes } from "./command-error.ts";
import { listPlugins } from "./known-plugin.ts";
import type { Progress } from "./progress.ts";
import { durationText } from "./progress.ts";
import { observedText, outcomeText, trialText } from "./status-text.ts";

/** A version as it is known by; the same module may come with different manifests. */
export interface VersionIdentity {
  readonly plugin: string;
  readonly version: string;
  readonly digest: string;
  /** Whether it was on trial when it was deployed, and not stable at once. */
  readonly wasOnTrial: boolean;
}

/** What became of a version. */
export interface RolloutEnd {
  readonly exitCode: ExitCode;
  /** Why it is not stable. */
  readonly reason?: string;
  /** Undefined when the plugin is gone. */
  readonly status: PluginStatus | undefined;
}

const pollMs = 250;

/** Resolves when the version is stable, or is not going to be; rejects when the signal aborts. A sidecar that restarts is waited for. */
export async function awaitRollout(
  client: AdminClient,
  wanted: VersionIdentity,
  progress: Progress,
  signal: AbortSignal,
): Promise<RolloutEnd> {
  const begin = performance.now();
  let told = "";
  for (;;) {
    const statuses = await listPlugins(client, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      return undefined;
    });
    if (statuses === undefined) tell("the sidecar does not answer; waiting for it to come back");
    else {
      const status = statuses.find(({ name }) => name === wanted.plugin);
      const ended = await endOf(client, wanted, status, signal);
      if (ended !== undefined) return ended;
      const trial = status?.trial;
      if (trial !== undefined) {
        tell(`${wanted.version} is ${trialText(trial)}`);
        const lasted = durationText(performance.now() - begin);
        const streams = `${observedText(trial.candidate)} (stable: ${observedText(trial.stable)})`;
        progress.now(`  ${trial.phase} ${lasted}: ${streams}`);
      }
    }
    await delay(pollMs, undefined, { signal });
  }

  function tell(text: string): void {
    if (text === told) return;
    told = text;
    progress.say(`  ${text}`);
  }
}

const isVersion = (one: { readonly version: string; readonly digest: string }, wanted: VersionIdentity): boolean =>
  one.version === wanted.version && one.digest === wanted.digest;

async function endOf(
  client: AdminClient,
  wanted: VersionIdentity,
  status: PluginStatus | undefined,
  signal: AbortSignal,
): Promise<RolloutEnd | undefined> {
  if (status?.trial !== undefined && isVersion(status.trial, wanted)) return undefined;
  const { lastTrial } = status ?? {};
  // The stable version may be the same module with another manifest: how its trial ended tells them apart.
  if (
    wanted.wasOnTrial &&
    lastTrial !== undefined &&
    isVersion(lastTrial, wanted) &&
    lastTrial.outcome !== "promoted"
  ) {
    return { exitCode: exitCodes.rolledBack, reason: `it was ${outcomeText(lastTrial)}`, status };
  }
  if (status !== undefined && isVersion(status, wanted)) {
    if (status.state === "serving") return { exitCode: exitCodes.done, status };
    return {
      exitCode: exitCodes.failed,
      reason: `it is ${status.state}: ${status.reason ?? "nothing says why"}`,
      status,
    };
  }
  if (lastTrial !== undefined && isVersion(lastTrial, wanted)) return { exitCode: exitCodes.done, status };
  return { exitCode: exitCodes.rolledBack, reason: await toldBy(client, wanted, signal), status };
}

/** What the history says of the end of a version; a sidecar that was started since then knows no more. */
async function toldBy(client: AdminClient, wanted: VersionIdentity, signal: AbortSignal): Promise<string> {
  const path = pathOf(wanted.plugin, "/history?limit=50");
  const entries = (await client.json({ path, signal })) as readonly HistoryEntry[];
  const last = entries.find((entry) => entry.outcome === "done");
  const own = entries.find(
    (entry) => entry.outcome === "done" && entry.action !== "deploy" && isVersion(entry, wanted),
  );
  const entry = own ?? last;
  const gone = "it is neither stable nor on trial any more";
  if (entry === undefined) return gone;
  const reason = entry.reason === undefined ? "" : `: ${entry.reason}`;
  return `${gone}, since the ${entry.action} of ${entry.version} by ${entry.by}${reason}`;
}

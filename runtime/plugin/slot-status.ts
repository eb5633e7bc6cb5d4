import { pathOfEvents, pathOfTicks } from "./declarations.ts";
import type { Manifest } from "./manifest.ts";
import type { PreparedPlugin } from "./prepare.ts";
import type { Refusal } from "./refusal.ts";
import type { RolloutState } from "./rollout/machine.ts";
import type { RunningVersions } from "./running-versions.ts";
import type { PluginStatus, PluginTotals, TrialOutcome } from "./status.ts";

/** What a slot knows of its plugin. */
export interface SlotKnowledge {
  readonly name: string;
  readonly state: RolloutState;
  readonly running: RunningVersions;
  /** Ran until its grants were withdrawn. */
  readonly withdrawn: PreparedPlugin | undefined;
  readonly refusal: Refusal | undefined;
  readonly lastTrial: TrialOutcome | undefined;
  readonly unkept: string | undefined;
  readonly totals: PluginTotals;
}

/** The plugin as the admin API shows it; undefined when there is nothing to tell. */
export function statusOf(slot: SlotKnowledge): PluginStatus | undefined {
  const { name, state, running, withdrawn, refusal, lastTrial, unkept, totals } = slot;
  if (state.phase === "none" && refusal === undefined) return undefined;
  const candidate = "candidate" in state ? state.candidate : undefined;
  const deployed = state.phase === "none" ? undefined : (state.stable ?? candidate);
  const known =
    running.stable?.prepared ?? withdrawn ?? (deployed === candidate ? running.onTrial?.release.prepared : undefined);
  const manifest = known?.manifest ?? refusal?.artifact?.manifest;
  const reason = running.stable?.crashedBecause ?? refusal?.error.message;
  const previous = state.phase === "none" ? [] : state.previous;
  const trial = running.onTrial?.trial.status;
  return {
    name,
    version: known?.manifest.version ?? deployed?.version ?? manifest?.version ?? "",
    digest: known?.digest ?? deployed?.digest ?? refusal?.artifact?.digest ?? "",
    kind: manifest?.kind ?? "filter",
    engine: known?.speaks ?? "",
    state: stateOf(slot),
    ...(reason === undefined ? {} : { reason }),
    ...(unkept === undefined ? {} : { unkept }),
    ...totals,
    ...(trial === undefined ? {} : { trial }),
    ...(lastTrial === undefined ? {} : { lastTrial }),
    ...(previous.length === 0 ? {} : { previous: previous.map(({ version, digest }) => ({ version, digest })) }),
    ...(known === undefined ? {} : declared(known.manifest)),
  };
}

function declared({ subscriptions, schedules }: Manifest): Pick<PluginStatus, "subscriptions" | "schedules"> {
  const topics = subscriptions.map((one) => ({ pubsub: one.pubsub, topic: one.topic, path: pathOfEvents(one) }));
  const times = schedules.map((one) => {
    const { name, cron, timeZone } = one;
    return { name, cron, timeZone, path: pathOfTicks(one) };
  });
  return {
    ...(topics.length === 0 ? {} : { subscriptions: topics }),
    ...(times.length === 0 ? {} : { schedules: times }),
  };
}

function stateOf({ state, running }: SlotKnowledge): PluginStatus["state"] {
  if (running.stable === undefined)
    return state.phase === "staged" && state.stable === undefined ? "staged" : "refused";
  return running.stable.crashedBecause === undefined ? "serving" : "crashed";
}

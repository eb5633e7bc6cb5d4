import { messageOf } from "../../components/thrown.ts";
import { type Grants, restrictionsOf, ungranted } from "./grants.ts";
import type { PluginError } from "./plugin-error.ts";
import type { PreparedPlugin } from "./prepare.ts";
import type { Rollout, RolloutOptions } from "./rollout/rollout.ts";

export interface RegrantTerms extends Pick<RolloutOptions, "running" | "grants"> {
  readonly rollout: Rollout;
  /** The stable version that ran until its grants were withdrawn. */
  readonly withdrawn: PreparedPlugin | undefined;
  /** Ends the trial, if there is one. */
  readonly endTrial: (reason: string) => Promise<void>;
  /** Takes the stable version out of service. */
  readonly withdraw: (prepared: PreparedPlugin, error: PluginError) => void;
  /** Told that the stable version was started anew. */
  readonly restarted: () => void;
  /** Told why the stable version could not be started anew. */
  readonly notRestarted: (error: unknown) => void;
}

/** Holds what runs of a plugin against grants that have changed: ends what they forbid, starts anew what they hold otherwise. */
export async function regrantPlugin(terms: RegrantTerms): Promise<void> {
  await regrantCandidate(terms);
  await regrantStable(terms);
}

async function regrantCandidate({ rollout, running, grants, endTrial }: RegrantTerms): Promise<void> {
  const prepared = running.onTrial?.release.prepared;
  if (prepared === undefined) return;
  const error = ungranted(prepared.manifest, grants());
  if (error !== undefined) await endTrial(error.message);
  else if (isHeldOtherwise(prepared, grants())) {
    await rollout.restart("candidate", prepared).catch((error: unknown) => endTrial(messageOf(error)));
  }
}

async function regrantStable(terms: RegrantTerms): Promise<void> {
  const { running, grants, withdrawn, endTrial, withdraw } = terms;
  const prepared = running.stable?.prepared;
  if (prepared === undefined) {
    if (withdrawn !== undefined) await restart(withdrawn, terms);
    return;
  }
  const error = ungranted(prepared.manifest, grants());
  if (error !== undefined) {
    await endTrial(error.message);
    withdraw(prepared, error);
  } else if (isHeldOtherwise(prepared, grants())) {
    await restart(prepared, terms);
  }
}

/** Starts the stable version anew, if the grants suffice. */
async function restart(prepared: PreparedPlugin, terms: RegrantTerms): Promise<void> {
  const { rollout, grants, restarted, notRestarted } = terms;
  if (ungranted(prepared.manifest, grants()) !== undefined) return;
  try {
    await rollout.restart("stable", prepared);
    restarted();
  } catch (error) {
    notRestarted(error);
  }
}

const isHeldOtherwise = ({ manifest, restrictions }: PreparedPlugin, grants: Grants): boolean =>
  JSON.stringify(restrictionsOf(manifest, grants)) !== JSON.stringify(restrictions);

import type { PluginArtifact } from "./artifact.ts";
import { type Grants, isHeldByGrants } from "./grants.ts";
import { PluginError } from "./plugin-error.ts";
import type { Release } from "./release.ts";
import type { Rollout, RolloutOptions } from "./rollout/rollout.ts";
import { ownName, type PluginRecord, type VersionRecord } from "./versions.ts";

export interface RestoreTerms extends Pick<RolloutOptions, "running" | "prepare" | "requireOpen" | "failed"> {
  readonly rollout: Rollout;
  readonly grants: Grants;
  readonly load: (version: VersionRecord) => Promise<PluginArtifact>;
}

/** Why a version cannot be run; with the artifact, other grants may let it run. */
export interface FailedRestore {
  readonly error: PluginError;
  readonly artifact: PluginArtifact | undefined;
}

type Attempt = Started | FailedRestore;

interface Started {
  readonly version: VersionRecord;
  readonly release: Release;
  /** Why the stable version does not run, when another takes its place. */
  readonly insteadOf?: PluginError;
}

/**
 * Starts what the record names: the stable version, else the newest of those before it that can be run, and the version on
 * trial. A version that other grants might let run is waited for: nothing older takes its place. Resolves to why nothing runs, or
 * not what was stable.
 */
export async function restorePlugin(record: PluginRecord, terms: RestoreTerms): Promise<FailedRestore | undefined> {
  const { rollout } = terms;
  const stable = await startFirst(record, terms);
  if (stable !== undefined && !("release" in stable)) {
    rollout.restore({ ...record, trial: undefined }, { stable: undefined, candidate: undefined });
    return stable;
  }
  const { trial } = record;
  const candidate = trial === undefined ? undefined : await start(trial.version, terms);
  const hasTrial = candidate !== undefined && "release" in candidate;
  const isOther = stable !== undefined && stable.version !== record.stable;
  const others = [record.stable, ...record.previous].filter((one) => one !== undefined && one !== stable?.version);
  rollout.restore(
    {
      plugin: record.plugin,
      stable: stable?.version,
      trial: hasTrial ? trial : undefined,
      previous: isOther ? others.filter((one) => one !== undefined) : record.previous,
    },
    { stable: stable?.release, candidate: hasTrial ? candidate.release : undefined },
  );
  const failure = isOther ? replacement(record, stable) : undefined;
  if (failure !== undefined) {
    terms.failed(failure.error);
    await rollout.save();
    await rollout.note("rollback", stable?.version, { by: ownName, reason: failure.error.message });
  }
  if (candidate !== undefined && !hasTrial) {
    await rollout.save();
    await rollout.note("rollback", trial?.version, { by: ownName, reason: candidate.error.message });
    return stable === undefined ? candidate : failure;
  }
  return failure;
}

/** What the operator is told when a version before the stable one takes its place. */
function replacement({ plugin, stable }: PluginRecord, { version, insteadOf }: Started): FailedRestore {
  const why = insteadOf === undefined ? "" : `: ${insteadOf.message}`;
  const message = `plugin '${plugin}' ${stable?.version} could not be brought back, and ${version.version} runs in its place${why}`;
  const error = new PluginError(plugin, stable?.version ?? "", insteadOf?.fault ?? "refused", message, {
    cause: insteadOf,
  });
  return { error, artifact: undefined };
}

/** The stable version or, of those before it, the newest that starts; why the stable one does not, when none does. */
async function startFirst({ stable, previous }: PluginRecord, terms: RestoreTerms): Promise<Attempt | undefined> {
  if (stable === undefined) return undefined;
  const first = await start(stable, terms);
  if ("release" in first) return first;
  if (first.artifact !== undefined && isHeldByGrants(first.artifact.manifest, terms.grants)) return first;
  for (const version of previous) {
    const attempt = await start(version, terms);
    if ("release" in attempt) return { ...attempt, insteadOf: first.error };
  }
  return first;
}

async function start(version: VersionRecord, terms: RestoreTerms): Promise<Attempt> {
  const { running, load, prepare, requireOpen, failed } = terms;
  let artifact: PluginArtifact | undefined;
  try {
    artifact = await load(version);
    const release = await running.start(await prepare(artifact));
    try {
      requireOpen();
    } catch (error) {
      running.discard(release);
      throw error;
    }
    return { version, release };
  } catch (error) {
    if (!(error instanceof PluginError) || error.fault === "closed") throw error;
    failed(error);
    return { error, artifact };
  }
}

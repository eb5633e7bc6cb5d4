import type { PluginArtifact } from "./artifact.ts";
import { beginsAgain, type DeployUnderWay } from "./deploys-under-way.ts";
import { ungranted } from "./grants.ts";
import type { Manifest } from "./manifest.ts";
import { requireAwaited } from "./operate.ts";
import type { DeployOptions } from "./operations.ts";
import { PluginError } from "./plugin-error.ts";
import type { PreparedPlugin } from "./prepare.ts";
import type { LastRefusal } from "./refusal.ts";
import type { Release } from "./release.ts";
import type { RolloutPolicy } from "./rollout/policy.ts";
import type { Rollout, Transit } from "./rollout/rollout.ts";
import type { StarterOptions } from "./rollout/version-starter.ts";
import { timed } from "./timed.ts";
import type { VersionRecord } from "./versions.ts";

export interface DeployTerms extends StarterOptions {
  /** What the sidecar does not have of what the manifest needs, said of the plugin; undefined when it has all. */
  readonly lacks: (manifest: Manifest) => Promise<string | undefined>;
  readonly rollout: Rollout;
  readonly transit: Transit;
  readonly refusal: LastRefusal;
  readonly self: DeployUnderWay;
  /** Whether the plugin is refused nothing any more, as the sidecar shuts down. */
  readonly isClosed: () => boolean;
}

/** When it is its turn: puts the artifact in service, on trial or aside. Rejects, and what ran before goes on, when any step fails. */
export async function deployPlugin(
  artifact: PluginArtifact,
  options: DeployOptions,
  terms: DeployTerms,
): Promise<void> {
  const { name, lacks, rollout, refusal, self, isClosed } = terms;
  const { by = "directory", policy } = options;
  const version = versionOf(artifact, by);
  let lacking: string | undefined;
  try {
    self.signal.throwIfAborted();
    requireAwaited(name, options.signal);
    if (runs(artifact, policy, terms)) {
      await endTrialBeside(artifact, by, terms);
      return;
    }
    lacking = await lacks(artifact.manifest);
    requireMet(artifact.manifest, lacking, terms);
    await putInPlace(artifact, version, options, terms);
  } catch (error) {
    if (beginsAgain(error)) throw error;
    if (self.signal.aborted && error === self.signal.reason) self.gaveUp();
    else if (error instanceof PluginError && !isClosed() && options.signal?.aborted !== true) {
      const again = { by, ...(policy === undefined ? {} : { policy }) };
      refusal.remember(error, artifact, again, lacking !== undefined);
    }
    await rollout.note("deploy", version, { by, error });
    throw error;
  }
}

async function putInPlace(
  artifact: PluginArtifact,
  version: VersionRecord,
  { policy: given, progress }: DeployOptions,
  terms: DeployTerms,
): Promise<void> {
  const { running, transit, self } = terms;
  const prepared = await keepAndPrepare(artifact, progress, terms);
  self.signal.throwIfAborted();
  const wanted = given ?? prepared.manifest.rollout;
  const { stable } = running;
  // Nothing is tried beside a version that does not serve.
  const hasNone = stable === undefined || stable.crashedBecause !== undefined;
  const policy = hasNone ? { ...wanted, canary: undefined } : wanted;
  const { warmUp } = policy;
  const { signal } = self;
  await transit({ type: "deployed", version, policy }, { by: version.by, prepared, warmUp, progress, signal });
}

async function keepAndPrepare(
  artifact: PluginArtifact,
  progress: DeployOptions["progress"],
  { prepare, store }: DeployTerms,
): Promise<PreparedPlugin> {
  const [prepared, kept] = await Promise.allSettled([
    timed(progress, "compile", () => prepare(artifact)),
    store === undefined ? undefined : timed(progress, "keep", () => store.keep(artifact)),
  ]);
  if (prepared.status === "rejected") throw prepared.reason;
  if (kept.status === "rejected") throw kept.reason;
  return prepared.value;
}

/** Whether the artifact is stable already, or on trial under that policy. */
function runs(
  artifact: PluginArtifact,
  policy: RolloutPolicy | undefined,
  { rollout: { state }, running: { stable, onTrial } }: DeployTerms,
): boolean {
  const isPolicyOfTrial =
    policy === undefined || ("policy" in state && JSON.stringify(policy) === JSON.stringify(state.policy));
  return [stable, isPolicyOfTrial ? onTrial?.release : undefined].some(
    (release) => release !== undefined && release.crashedBecause === undefined && isOf(release, artifact),
  );
}

/** Who deploys what is stable wants nothing else: another version on trial is gone. */
async function endTrialBeside(
  artifact: PluginArtifact,
  by: string,
  { running: { onTrial }, transit }: DeployTerms,
): Promise<void> {
  if (onTrial === undefined || isOf(onTrial.release, artifact)) return;
  const reason = `version ${artifact.manifest.version} was deployed, which is stable`;
  await transit({ type: "abort" }, { by, reason });
}

/** Throws PluginError that names everything the manifest asks for and is not granted, or not there. */
function requireMet(manifest: Manifest, lacking: string | undefined, { grants }: DeployTerms): void {
  if (lacking === undefined) return;
  const { name, version } = manifest;
  const held = ungranted(manifest, grants())?.message;
  const message = held === undefined ? `plugin '${name}' ${lacking}` : `${held}; it ${lacking}`;
  throw new PluginError(name, version, "refused", message);
}

const isOf = ({ prepared, manifest }: Release, artifact: PluginArtifact): boolean =>
  prepared.digest === artifact.digest && JSON.stringify(manifest) === JSON.stringify(artifact.manifest);

function versionOf({ manifest, manifestText, digest, origin }: PluginArtifact, by: string): VersionRecord {
  return { version: manifest.version, digest, manifest: manifestText, origin, by, deployedAt: Date.now() };
}

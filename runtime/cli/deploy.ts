import type { PullProgress } from "../plugin/deployments.ts";
import type { DeployStep } from "../plugin/operations.ts";
import type { PluginStatus } from "../plugin/status.ts";
import type { AdminClient, Asked } from "./admin-client.ts";
import { awaitRollout, type VersionIdentity } from "./await-rollout.ts";
import { type CommandCall, changer, durationOf, pathOf } from "./command-call.ts";
import { CommandError, exitCodes, misuse } from "./command-error.ts";
import { type ModuleUpload, openUpload, textIn } from "./module-upload.ts";
import { printable } from "./printable.ts";
import { bytesText, openProgress, type Progress } from "./progress.ts";
import { rolloutOf } from "./rollout-options.ts";
import { jsonText, serviceText } from "./status-text.ts";

const defaultTimeoutMs = 1_800_000;
const pullPolicies: Readonly<Record<string, string>> = { always: "Always", ifnotpresent: "IfNotPresent" };

/** `outrigger deploy FILE|REFERENCE|-`: deploys a module, tells the steps, and with --wait stays until the version is stable. */
export async function deploy(call: CommandCall): Promise<number> {
  const timeoutMs = durationOf(call, "timeout") ?? defaultTimeoutMs;
  const client = await changer(call);
  const interruption = call.interruption();
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([interruption, timeout]);
  using progress = openProgress(call.terminal, call.err);
  let known: VersionIdentity | undefined;
  try {
    const status = await send(call, client, progress, signal);
    known = identityOf(status);
    if (!call.is("wait")) {
      call.out(call.is("json") ? jsonText(status) : serviceText(status));
      return exitCodes.done;
    }
    const ended = await awaitRollout(client, known, progress, signal);
    progress[Symbol.dispose]();
    if (ended.status !== undefined) call.out(call.is("json") ? jsonText(ended.status) : serviceText(ended.status));
    if (ended.exitCode === exitCodes.done) return exitCodes.done;
    throw new CommandError(
      ended.exitCode,
      printable(`${known.plugin} ${known.version} is not stable: ${ended.reason}`),
    );
  } catch (error) {
    if (!signal.aborted || error instanceof CommandError) throw error;
    const exitCode = interruption.aborted ? exitCodes.interrupted : exitCodes.timeout;
    const why = interruption.aborted
      ? "interrupted"
      : `the time of --timeout (${call.text("timeout") ?? "30m"}) is over`;
    throw new CommandError(exitCode, `${why}: ${leftAlone(known)}`, { cause: error });
  }
}

function leftAlone(known: VersionIdentity | undefined): string {
  if (known === undefined) return "it is not known whether the deploy came through; 'outrigger plugins' shows it";
  const { plugin, version } = known;
  return printable(
    `the rollout of ${plugin} ${version} goes on; 'outrigger plugins ${plugin}' shows it, 'outrigger abort ${plugin}' ends it`,
  );
}

/** The version that the deploy was about: the one on trial, if there is one. */
const identityOf = ({ name, version, digest, trial }: PluginStatus): VersionIdentity =>
  trial === undefined
    ? { plugin: name, version, digest, wasOnTrial: false }
    : { plugin: name, version: trial.version, digest: trial.digest, wasOnTrial: true };

async function send(
  call: CommandCall,
  client: AdminClient,
  progress: Progress,
  signal: AbortSignal,
): Promise<PluginStatus> {
  const [from = ""] = call.words;
  if (/^(https?|oci):\/\//i.test(from))
    return await told(client, await referenceOf(call, from, signal), "fetch", progress);
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(from)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== "file") {
    throw misuse(`the scheme '${scheme}' is not known; expected a file, https://… or oci://host/name:tag`);
  }
  if (call.text("pull") !== undefined) throw misuse("--pull is about references; a file is uploaded each time");
  const sent = (bytes: number, total: number | undefined): void => progress.bytes("upload", bytes, total);
  await using upload = await openUpload({ from, manifest: call.text("manifest"), input: call.input, sent });
  return await told(client, uploadOf(call, upload, signal), "upload", progress);
}

async function referenceOf(call: CommandCall, reference: string, signal: AbortSignal): Promise<Asked> {
  const pull = call.text("pull");
  const pullPolicy = pull === undefined ? undefined : pullPolicies[pull.toLowerCase()];
  if (pull !== undefined && pullPolicy === undefined) throw misuse(`--pull is always or ifNotPresent, not '${pull}'`);
  const file = call.text("manifest");
  const manifest = file === undefined ? undefined : await textIn(file);
  const body = { reference, manifest, sha256: sha256Of(call), pullPolicy, rollout: rolloutOf(call, manifest) };
  return { ...placeOf(call), body, signal };
}

function uploadOf(call: CommandCall, upload: ModuleUpload, signal: AbortSignal): Asked {
  const { stream, bytes, manifest, sendsManifest, signature, name } = upload;
  const rollout = rolloutOf(call, manifest);
  const query = new URLSearchParams();
  if (sendsManifest && manifest !== undefined) query.set("manifest", manifest);
  const sha256 = sha256Of(call);
  if (sha256 !== undefined) query.set("sha256", sha256);
  if (signature !== undefined) query.set("signature", signature);
  if (rollout !== undefined) query.set("rollout", JSON.stringify(rollout));
  const { method, path } = placeOf(call);
  if (method === "POST" && name !== undefined) query.set("name", name);
  return { method, path: query.size === 0 ? path : `${path}?${query}`, upload: { stream, bytes }, signal };
}

/** Under its own name, or as the plugin that it must be. */
function placeOf(call: CommandCall): { readonly method: "POST" | "PUT"; readonly path: string } {
  const name = call.text("name");
  return name === undefined ? { method: "POST", path: "/v1/plugins" } : { method: "PUT", path: pathOf(name) };
}

function sha256Of(call: CommandCall): string | undefined {
  const text = call.text("sha256");
  if (text === undefined) return undefined;
  const hex = text.replace(/^sha256:/i, "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return `sha256:${hex}`;
  throw misuse("--sha256 is not one; expected 64 hexadecimal digits, with or without sha256: before them");
}

type DeployEvent =
  | DeployStep
  | { readonly pull: PullProgress }
  | { readonly status: PluginStatus }
  | { readonly error: string; readonly code: number };

/** Tells the steps as they end, and resolves to what the deploy came to. */
async function told(
  client: AdminClient,
  asked: Asked,
  first: "fetch" | "upload",
  progress: Progress,
): Promise<PluginStatus> {
  let pulled = 0;
  for await (const line of client.lines(asked)) {
    const event = line as DeployEvent;
    if ("status" in event) return event.status;
    if ("error" in event) throw client.failure(event.code, printable(event.error));
    if ("pull" in event) {
      pulled = event.pull.receivedBytes;
      progress.bytes("fetch", pulled, event.pull.totalBytes);
    } else {
      const bytes = event.step === "fetch" ? (asked.upload?.bytes ?? pulled) : 0;
      progress.step(event.step === "fetch" ? first : event.step, event.ms, bytes === 0 ? undefined : bytesText(bytes));
    }
  }
  throw new CommandError(
    exitCodes.failed,
    `the sidecar at ${client.host} ended before the deploy was acknowledged; 'outrigger plugins' shows what came of it`,
  );
}

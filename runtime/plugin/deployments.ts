import type { PluginSignatures, PluginSources } from "../config/plugin-sources.ts";
import { turn } from "../turn.ts";
import type { PluginArtifact } from "./artifact.ts";
import { locateBelow } from "./below-directory.ts";
import type { DeployStep, PluginOperations } from "./operations.ts";
import { isPacked, unpackManifest } from "./packed-manifest.ts";
import { PluginError } from "./plugin-error.ts";
import type { RolloutPolicy } from "./rollout/policy.ts";
import type { PullPolicy } from "./source/fetch-artifact.ts";
import { parseReference } from "./source/reference.ts";
import type { PluginStatus } from "./status.ts";
import type { Upload, Uploads } from "./uploads.ts";
import type { HistoryEntry, PluginRecord, VersionRecord } from "./versions.ts";

/** Bytes of a pull so far. */
export interface PullProgress {
  readonly receivedBytes: number;
  /** Absent when the server does not say. */
  readonly totalBytes?: number;
}

/** What is fetched, or uploaded. */
export interface DeployedModule {
  /** The manifest, as YAML, in place of the one beside the module or inside it. */
  readonly manifest?: string | undefined;
  /** `sha256:` and hex that it must have. */
  readonly sha256?: string | undefined;
}

export interface UploadedModule extends DeployedModule {
  /** A detached signature over the module, in base64. */
  readonly signature?: string | undefined;
}

export interface FetchedReference extends DeployedModule {
  /** A path below the plugins directory, a URL, or `oci://host/name:tag`. */
  readonly reference: string;
  readonly pullPolicy?: PullPolicy | undefined;
}

export interface DeployRequest {
  /** Who deploys, for the history. */
  readonly by: string;
  /** The name that the manifest must give; a bare module gets it. */
  readonly name?: string | undefined;
  readonly policy?: RolloutPolicy | undefined;
  readonly progress?: ((event: DeployStep | PullProgress) => void) | undefined;
  readonly signal: AbortSignal;
}

/** `plugins` of the configuration, as far as it is about where they come from. */
export interface PluginSettings {
  readonly directory?: string | undefined;
  readonly sources: PluginSources;
  readonly signatures: PluginSignatures;
}

export interface DeploymentsOptions {
  readonly operations: PluginOperations;
  /** As the configuration has them now. */
  readonly settings: () => PluginSettings;
  /** Where what was fetched is kept. */
  readonly folder: string;
  readonly uploads: Uploads;
  readonly store: {
    record(plugin: string): PluginRecord | undefined;
    history(limit: number, plugin?: string): Promise<HistoryEntry[]>;
    log(entry: HistoryEntry): Promise<void>;
  };
}

/** A version that is kept, and what it is to its plugin. */
export interface KnownVersion extends Omit<VersionRecord, "manifest"> {
  readonly role: "stable" | "trial" | "previous";
}

/** What a deploy came to. */
export interface Deployed {
  readonly status: PluginStatus;
  /** Whether nothing was deployed under the name before. */
  readonly isNew: boolean;
}

/** Deploys what is fetched or uploaded, and tells what was deployed. */
export class Deployments {
  readonly #options: DeploymentsOptions;
  readonly operations: PluginOperations;

  constructor(options: DeploymentsOptions) {
    this.#options = options;
    this.operations = options.operations;
  }

  find(plugin: string): PluginStatus | undefined {
    return this.operations.list().find(({ name }) => name === plugin);
  }

  async deployReference(
    { reference, pullPolicy, manifest, sha256 }: FetchedReference,
    request: DeployRequest,
  ): Promise<Deployed> {
    const { progress, signal } = request;
    const begin = performance.now();
    this.operations.expect();
    const artifact = await this.#noted(request, async () => {
      const { directory, sources, signatures } = this.#options.settings();
      const isFile = parseReference(reference).kind === "file";
      const { fetchArtifact } = await import("./source/fetch-artifact.ts");
      const place = isFile ? await locateBelow(directory, reference.replace(/^file:(\/\/)?/i, "")) : reference;
      return fetchArtifact(place, {
        sources,
        signatures,
        directory: this.#options.folder,
        manifest,
        sha256,
        pull: pullPolicy,
        signal,
        progress: (receivedBytes, totalBytes) =>
          progress?.({ receivedBytes, ...(totalBytes !== undefined && { totalBytes }) }),
      });
    });
    progress?.({ step: "fetch", ms: performance.now() - begin });
    return this.#deploy(artifact, request);
  }

  /** Takes in the upload whole, then deploys it. */
  async deployUpload(body: AsyncIterable<Uint8Array>, what: UploadedModule, request: DeployRequest): Promise<Deployed> {
    const { progress, signal } = request;
    const begin = performance.now();
    this.operations.expect();
    await using upload = await this.#options.uploads.receive(body, signal);
    const artifact = await this.#noted(request, async () => {
      const uploaded = await uploadedArtifact(upload, what, request.name);
      await this.#admitUpload(uploaded, what);
      return uploaded;
    });
    progress?.({ step: "fetch", ms: performance.now() - begin });
    await turn();
    return await this.#deploy(artifact, request);
  }

  versions(plugin: string): KnownVersion[] {
    const { stable, trial, previous = [] } = this.#options.store.record(plugin) ?? {};
    const known: KnownVersion[] = previous.map((version) => shown(version, "previous"));
    if (stable !== undefined) known.unshift(shown(stable, "stable"));
    if (trial !== undefined) known.unshift(shown(trial.version, "trial"));
    return known;
  }

  history(limit: number, plugin?: string): Promise<HistoryEntry[]> {
    return this.#options.store.history(limit, plugin);
  }

  async #admitUpload(artifact: PluginArtifact, { signature, manifest }: UploadedModule): Promise<void> {
    const { signatures } = this.#options.settings();
    if (signatures.require === false) return;
    const { requireSignedUpload } = await import("./source/signed-upload.ts");
    const hasManifestInside = manifest === undefined && isPacked(artifact.bytes);
    await requireSignedUpload(artifact, { signature, hasManifestInside }, signatures);
  }

  /** What is refused before it comes to a deploy is in the history, too. */
  async #noted({ by, name }: DeployRequest, task: () => Promise<PluginArtifact>): Promise<PluginArtifact> {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      const plugin = name ?? error.plugin;
      const { version, message: reason } = error;
      const entry = { at: Date.now(), plugin, action: "deploy", version, digest: "", by, outcome: "refused" } as const;
      await this.#options.store.log({ ...entry, reason });
      throw error;
    }
  }

  async #deploy(artifact: PluginArtifact, { by, name, policy, progress, signal }: DeployRequest): Promise<Deployed> {
    const { manifest } = artifact;
    if (name !== undefined && manifest.name !== name) {
      const message = `the manifest is that of plugin '${manifest.name}', not of '${name}'`;
      throw new PluginError(name, manifest.version, "refused", message);
    }
    const isNew = this.find(manifest.name)?.state !== "serving";
    const options = {
      by,
      signal,
      ...(policy !== undefined && { policy }),
      ...(progress !== undefined && { progress }),
    };
    return { status: await this.operations.deploy(artifact, options), isNew };
  }
}

async function uploadedArtifact(
  upload: Upload,
  { manifest, sha256 }: DeployedModule,
  name: string | undefined,
): Promise<PluginArtifact> {
  if (sha256 !== undefined && sha256 !== upload.digest) {
    const message = `the module that was uploaded is ${upload.digest}, not ${sha256}`;
    throw new PluginError(name ?? "", "", "refused", message);
  }
  const bytes = await upload.bytes;
  const text = manifest ?? unpackManifest(bytes)?.manifest ?? (name === undefined ? undefined : `name: "${name}"\n`);
  if (text === undefined) {
    const message = "the module that was uploaded has no manifest inside; give one with it, or a name";
    throw new PluginError("", "", "refused", message);
  }
  const [{ makeArtifact }, { checkModule }] = await Promise.all([import("./artifact.ts"), import("./module-check.ts")]);
  await turn();
  const check = await checkModule(bytes, upload.digest);
  return makeArtifact(bytes, "upload", { text, path: "upload" }, name ?? "", check);
}

const shown = ({ manifest: _, ...version }: VersionRecord, role: KnownVersion["role"]): KnownVersion => ({
  ...version,
  role,
});
